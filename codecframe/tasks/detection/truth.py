"""The boxes that are known of images: COCO's JSON, YOLO's text files, or CSV."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from codecframe.core.errors import DataError, as_data_error, shown
from codecframe.core.files import named_like, open_regular
from codecframe.core.rows import MOST_LABELS, read_rows
from codecframe.tasks.detection.boxes import Boxes, RelativeBoxes

CORNERS = ("x0", "y0", "x1", "y1")
_MOST_TEXT = 1 << 24
"""Bytes of the text file of one image."""


def read(source: str, where: Mapping[str, str], images: Sequence[str]) -> list[Any]:
    """The boxes of image files; None for an image that `source` does not name.

    * A file `.json`: COCO's. Images are found by `file_name`, be it a name or the end of a path;
      categories go by name.
    * A folder: YOLO's text files, one an image with its name and `.txt`: lines of class number,
      centre, width and height as shares of the image; or of class number and a polygon. A file that
      is empty says that there is no object.
    * Else CSV with columns `file` (relative to its folder), `label`, `x0`, `y0`, `x1`, `y1` in
      pixels, a row a box; a row without a label says that there is no object.

    Raises:
        DataError: if it cannot be read.
    """
    if os.path.isdir(source):
        _refuse_where(source, where)
        paths = (named_like(image, source, ".txt") for image in images)
        return [_read_text(path) if path else None for path in paths]
    if source.lower().endswith(".json"):
        _refuse_where(source, where)
        return _coco(source, images)
    return _table(source, where, images)


def _refuse_where(source: str, where: Mapping[str, str]) -> None:
    if where:
        raise DataError(source, f"has no rows to choose {', '.join(where)} from: give a CSV file")


def _table(source: str, where: Mapping[str, str], images: Sequence[str]) -> list[Any]:
    found: dict[str, list[tuple[str, list[float]]]] = {}
    for place, row in read_rows(source, ["label", *CORNERS], where):
        boxes = found.setdefault(place, [])
        if label := row["label"].strip():
            boxes.append((label, _numbers(source, [row[name] for name in CORNERS])))
    return [_named(found.get(os.path.abspath(image))) for image in images]


def _named(boxes: list[tuple[str, list[float]]] | None, crowd: Sequence[bool] = ()) -> Boxes | None:
    if boxes is None:
        return None
    labels = np.array([label for label, _ in boxes], object)
    corners = np.array([corners for _, corners in boxes], np.float32)
    return Boxes(corners, labels, crowd=np.array(crowd, bool) if crowd else None)


def _numbers(source: str, texts: Iterable[Any]) -> list[float]:
    try:
        found = [float(text) for text in texts]
    except (TypeError, ValueError):
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise DataError(source, f"has a box {shown(list(texts))}, not numbers")
    return found


# -- COCO -----------------------------------------------------------------------------------


def _coco(source: str, images: Sequence[str]) -> list[Any]:
    with open_regular(source) as file:
        if os.path.getsize(source) > MOST_LABELS:
            raise DataError(source, f"is larger than the {MOST_LABELS:,} bytes that are read")
        with as_data_error(source, ValueError, RecursionError, saying="is not JSON"):
            data = json.load(file)
    try:
        names = {one["id"]: str(one["name"]) for one in data["categories"]}
        files = {one["id"]: str(one["file_name"]) for one in data["images"]}
        boxes: dict[Any, list[tuple[str, list[float]]]] = {image: [] for image in files}
        crowd: dict[Any, list[bool]] = {image: [] for image in files}
        for one in data["annotations"]:
            x, y, width, height = _numbers(source, one["bbox"])
            boxes[one["image_id"]].append(
                (names[one["category_id"]], [x, y, x + width, y + height])
            )
            crowd[one["image_id"]].append(bool(one.get("iscrowd", 0)))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(
            source,
            "is not as COCO's files of objects: images (id, file_name), categories (id, name), "
            f"annotations (image_id, category_id, bbox); {type(error).__name__}: {error}",
        ) from None
    known = _Ends(files)
    numbers = [known.of(image) for image in images]
    return [None if n is None else _named(boxes[n], crowd[n]) for n in numbers]


class _Ends:
    """Finds the image of a file by the end of its path."""

    def __init__(self, files: Mapping[Any, str]) -> None:
        self._by_name: dict[str, list[tuple[Any, str]]] = {}
        for number, name in files.items():
            path = name.replace("\\", "/").lstrip("./")
            self._by_name.setdefault(path.rpartition("/")[2], []).append((number, path))

    def of(self, image: str) -> Any:
        """The number of an image, or None."""
        path = "/" + os.path.abspath(image).replace(os.sep, "/")
        possible = self._by_name.get(path.rpartition("/")[2], [])
        ends = [(len(name), number) for number, name in possible if path.endswith("/" + name)]
        return max(ends, key=lambda end: end[0])[1] if ends else None


# -- YOLO -----------------------------------------------------------------------------------


def _read_text(path: str) -> RelativeBoxes:
    with open_regular(path) as file:
        text = file.read(_MOST_TEXT + 1)
    if len(text) > _MOST_TEXT:
        raise DataError(path, f"is larger than the {_MOST_TEXT:,} bytes that are read")
    rows = list(_lines(path, text))
    classes = np.array([number for number, _ in rows], np.int64)
    return RelativeBoxes(Boxes(np.array([corners for _, corners in rows], np.float32), classes))


def _lines(path: str, text: bytes) -> Iterator[tuple[int, list[float]]]:
    """(class, corners as shares of the image) of each line."""
    for line in text.decode("utf-8", "replace").splitlines():
        words = line.split()
        if not words:
            continue
        if not words[0].isdecimal() or len(words) < 5 or len(words[0]) > 9:
            raise DataError(
                path, f"has {shown(line)}, not a class number, centre, width and height"
            )
        values = _numbers(path, words[1:])
        xs, ys = values[0::2], values[1::2]
        if len(values) == 4 or len(values) % 2:  # a fifth is a score
            x, y, width, height = values[:4]
            xs, ys = [x - width / 2, x + width / 2], [y - height / 2, y + height / 2]
        yield int(words[0]), [min(xs), min(ys), max(xs), max(ys)]
