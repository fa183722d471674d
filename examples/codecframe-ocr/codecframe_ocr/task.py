"""Text in images: lines that are read, and how far they are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

import codecframe
from codecframe import DataError, Image, MismatchError, Values

Corners = tuple[tuple[float, float], ...]
_RIGHT, _WRONG, _UNKNOWN = (0, 200, 0), (255, 60, 40), (255, 200, 0)
_MOST_LINES = 1000
_MOST_WORDS = 60
"""Characters of a line for people."""


@dataclass(frozen=True)
class Line:
    """A line of text in an image.

    Attributes:
        text: what it says.
        score: how sure the reader is, 0 to 1.
        corners: four points (x, y) in pixels of the image, clockwise from the top left.
    """

    text: str
    score: float
    corners: Corners


class Readings(codecframe.PerImage[tuple[Line, ...]]):
    """The lines that were read in each image, in the order of reading."""

    def texts(self) -> list[str]:
        """The text of each image, lines joined."""
        return [folded("\n".join(line.text for line in lines)) for lines in self.images]

    def confidence(self) -> Values:
        """The mean score of each image's lines; 1 where there are none."""
        means = (np.mean([line.score for line in lines] or [1.0]) for lines in self.images)
        return np.fromiter(means, np.float64, len(self))


class Text(codecframe.Task):
    """The text of an image; a target is a text, in which the kind of space does not count.

    The score is character agreement: 1 less the Levenshtein distance of both texts, as a share of
    the longer one. Over a set all edits are shared among all characters.
    """

    name = "text"
    summary = "text in images"
    metric = "character agreement"
    has_records = True

    def score(self, prediction: Readings, targets: Sequence[Any]) -> Values:
        """Character agreement of each image."""
        pairs = zip(prediction.texts(), targets, strict=True)
        return np.array([_agreement(text, _text(target)) for text, target in pairs], np.float64)

    def divergence(self, prediction: Readings, reference: Readings) -> Values:
        """What is read otherwise, and by how much the mean confidence changed."""
        changed = 1 - self.score(prediction, reference.texts())
        return changed + np.abs(prediction.confidence() - reference.confidence())

    def pseudo_targets(self, prediction: Readings) -> list[Any]:
        """The texts that were read."""
        return list(prediction.texts())

    # -- over a set -----------------------------------------------------------------------

    def records(self, prediction: Readings, targets: Sequence[Any]) -> list[Any]:
        """`edits`, and `characters` of the longer text."""
        pairs = zip(prediction.texts(), map(_text, targets), strict=True)
        return [
            {"edits": edits(text, target), "characters": max(len(text), len(target))}
            for text, target in pairs
        ]

    def missed(self, targets: Sequence[Any]) -> list[Any]:
        """Nothing was read."""
        sizes = [len(_text(target)) for target in targets]
        return [{"edits": size, "characters": size} for size in sizes]

    def set_scores(self, records: Sequence[Any], weights: Values) -> Values:
        """Character agreement of all texts together; 1 where there are none."""
        try:
            rows = [(float(one["edits"]), float(one["characters"])) for one in records]
        except (TypeError, KeyError, ValueError):
            raise DataError(self.name, "has records of another kind") from None
        found, characters = (weights @ np.array(rows, np.float64).reshape(-1, 2)).T
        return np.asarray(1 - found / np.maximum(characters, 1)).clip(0, 1)

    # -- truth ----------------------------------------------------------------------------

    def read_truth(
        self, source: str, where: Mapping[str, str], images: Sequence[str]
    ) -> list[Any] | None:
        """From CSV with columns `file` and `text`."""
        rows = codecframe.read_rows(source, ["text"], where)
        texts = {place: row["text"] for place, row in rows}
        return [texts.get(image) for image in images]

    def target(self, truth: Any, head: Any, shape: Any, new: Any) -> Any:
        """The text with single spaces."""
        return folded(_text(truth))

    # -- for people, files and the link ---------------------------------------------------

    def to_json(self, prediction: Readings) -> list[dict[str, Any]]:
        """`text`, and `lines`: `text`, `score`, `corners` (four of x, y in pixels)."""
        return [
            {"text": text, "lines": list(map(_plain, lines))}
            for text, lines in zip(prediction.texts(), prediction.images, strict=True)
        ]

    def target_to_json(self, target: Any) -> Any:
        """`text`."""
        return {"text": _text(target)}

    def words(self, said: Mapping[str, Any]) -> str:
        """The beginning of the text."""
        text = self._text_of(said) or "nothing"
        return text if len(text) <= _MOST_WORDS else text[: _MOST_WORDS - 1] + "…"

    def draw(self, image: Image, said: Mapping[str, Any], truth: Any = None) -> Image:
        """Each line outlined and repeated over itself: green where it is in the true text, red
        where not, yellow where that is not known.
        """
        known = None if truth is None else self._text_of(truth)
        picture = PilImage.fromarray(image)
        drawing = ImageDraw.Draw(picture)
        font = ImageFont.load_default(max(10, round(max(picture.size) / 40)))
        for line in self._lines_of(said):
            there = known is not None and folded(line.text) in known
            colour = _UNKNOWN if known is None else _RIGHT if there else _WRONG
            drawing.polygon(line.corners, outline=colour, width=max(1, max(picture.size) // 250))
            drawing.text(line.corners[0], line.text, colour, font, anchor="ls")
        return np.asarray(picture)

    def _text_of(self, said: Mapping[str, Any]) -> str:
        text = said.get("text") if isinstance(said, Mapping) else None
        if not isinstance(text, str):
            raise DataError(self.name, f"is not what a reader says: {said!r:.60}")
        return folded(text)

    def _lines_of(self, said: Mapping[str, Any]) -> list[Line]:
        """Lines in plain data, which may be a stranger's."""
        self._text_of(said)
        try:
            return [_line(one) for one in said["lines"][:_MOST_LINES]]
        except (TypeError, KeyError, ValueError, OverflowError):
            raise DataError(self.name, f"is not what a reader says: {said!r:.60}") from None


TEXT = Text()


def folded(text: str) -> str:
    """The text with each run of white space as one space, and none at its ends."""
    return " ".join(text.split())


def edits(text: str, other: str) -> int:
    """Levenshtein distance: characters to insert, remove or replace, at least."""
    wanted = np.array([ord(letter) for letter in other], np.int64)
    places = np.arange(len(other) + 1)
    row = places
    for number, letter in enumerate(text, 1):
        replaced = row[:-1] + (wanted != ord(letter))
        first = np.append(number, np.minimum(replaced, row[1:] + 1))
        row = np.minimum.accumulate(first - places) + places  # and insertions, left to right
    return int(row[-1])


def _agreement(text: str, other: str) -> float:
    return 1 - edits(text, other) / max(len(text), len(other), 1)


def _text(target: Any) -> str:
    if not isinstance(target, str):
        raise MismatchError(f"the truth of an image is its text, not {target!r:.60}")
    return target


def _plain(line: Line) -> dict[str, Any]:
    corners = [[round(float(x), 1), round(float(y), 1)] for x, y in line.corners]
    return {"text": line.text, "score": round(line.score, 4), "corners": corners}


def _line(one: Mapping[str, Any]) -> Line:
    corners = tuple((_bounded(x), _bounded(y)) for x, y in one["corners"])
    if len(corners) != 4 or not isinstance(one["text"], str):
        raise ValueError
    return Line(one["text"][:200], float(one["score"]), corners)


def _bounded(value: Any) -> float:
    """A coordinate that Pillow can draw."""
    if not np.isfinite(float(value)):
        raise ValueError
    return min(max(float(value), -1e5), 1e5)
