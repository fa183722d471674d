"""What heads make of images at each level of a codec, measured once and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe as cf
from codecframe.core.image import Image

_BATCH = 100
_SIDE = 8
"""Of thumbnails, in pixels."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Study:
    """A codec before a head, on images.

    Attributes:
        data: what the images are, in words.
        images: as `open_images` takes them, with labels.
        codec, head: by name.
        levels: values of the codec's knob, rising.
        keeps: what is promised.
        draw: images of a calibration set.
        training: images that light heads are trained on.
        limits: how many of both at most.
        labels: a labels file, whose rows with split=eval are taken.
    """

    data: str
    images: str
    codec: str
    head: str
    levels: tuple[float, ...]
    keeps: tuple[str, ...]
    draw: int
    training: str
    limits: tuple[int, int]
    labels: str | None = None


@dataclass(frozen=True)
class Records:
    """Of images at all levels.

    Attributes:
        bytes, agreement, score: `float64`, (images, levels); agreement is nan where the head does
            not see uncompressed images.
        uncompressed: the score on the uncompressed images, (images,); nan where nobody sees them.
        confidence: of the head at the lowest level, (images,).
        classes: what the head says there, `int64`, (images,).
        known: what the camera has there, (images, channels, rows, columns): latents, `int8`, or a
            thumbnail of the decoded picture and how much each of its tiles varies, `float32`.
    """

    bytes: Floats
    agreement: Floats
    score: Floats
    uncompressed: Floats
    confidence: Floats
    classes: npt.NDArray[np.int64]
    known: npt.NDArray[Any]

    def outcomes(self, keep: cf.Keep, at: npt.NDArray[np.int64]) -> list[cf.Outcomes]:
        """For each level, of some images."""
        if not keep.needs_labels:
            if np.isnan(self.agreement).any():
                raise cf.MismatchError("the head does not see uncompressed images")
            return [cf.Outcomes(column) for column in self.agreement[at].T]
        before = None if np.isnan(self.uncompressed).any() else self.uncompressed[at]
        return [cf.Outcomes(None, column, before) for column in self.score[at].T]


def records(study: Study, folder: Path) -> Records:
    """Of the study's images, at all levels."""
    where = {"split": "eval"} if study.labels else None
    items = cf.open_images(study.images, labels=study.labels, where=where, limit=study.limits[0])
    return _measured(study, items, folder)


def training(study: Study, folder: Path) -> dict[str, Any]:
    """Of the images that light heads are trained on, at the lowest level: `known`, `class` and
    `confidence`, as in `Records`.
    """
    return _column(study, cf.open_images(study.training, limit=study.limits[1]), 0, folder)


def _column(study: Study, items: cf.ImageSet, number: int, folder: Path) -> dict[str, Any]:
    """What images cost and the head says of them, at one of the levels."""
    codec, level = cf.get_codec(study.codec), study.levels[number]
    settings = codec.settings(**{_knob(codec): level})

    def measure() -> dict[str, Any]:
        return _at_level(codec, cf.get_head(study.head), items, settings, number == 0)

    return _kept(folder, [study.codec, study.head, items, level], measure)


def _measured(study: Study, items: cf.ImageSet, folder: Path) -> Records:
    columns = [_column(study, items, number, folder) for number in range(len(study.levels))]

    def uncompressed() -> dict[str, Any]:
        return _uncompressed(cf.get_head(study.head), items)

    before = _kept(folder, [study.head, items], uncompressed)
    classes = np.stack([column["class"] for column in columns], axis=1)
    wanted, said = before["target"][:, None], before["class"][:, None]
    known = (before["target"] >= 0).all()
    sees = (before["class"] >= 0).all()
    return Records(
        np.stack([column["bytes"] for column in columns], axis=1).astype(np.float64),
        np.where(said >= 0, classes == said, np.nan),
        (classes == wanted).astype(np.float64),
        (said == wanted)[:, 0].astype(np.float64) if known and sees else np.full(len(said), np.nan),
        columns[0]["confidence"],
        columns[0]["class"],
        columns[0]["known"],
    )


def _knob(codec: cf.Codec[Any]) -> str:
    knob = codec.settings().knob()
    assert knob is not None
    return knob.field


def _kept(folder: Path, key: list[Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was measured, in a file of its own for each level."""
    parts = [",".join(i.name for i in k) if isinstance(k, cf.ImageSet) else str(k) for k in key]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    path = folder / f"{name}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        found = measure()
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, **found)
        part.rename(path)
        print(*[p for p in parts if len(p) < 40], flush=True)
    with np.load(path) as found:
        return dict(found)


def _at_level(
    codec: cf.Codec[Any], head: cf.TaskHead, items: cf.ImageSet, settings: Any, lowest: bool
) -> dict[str, Any]:
    parts: dict[str, list[Any]] = {"bytes": [], "class": [], "confidence": [], "known": []}
    for some in cf.chunks(items, _BATCH):
        images = [head.prepare(item.read()) for item in some]
        datas = codec.encode_many(images, settings)
        decoded = cf.decode_for(codec, head, datas)
        prediction = head.predict(decoded)
        parts["bytes"].append([len(codec.strip(data)) for data in datas])
        parts["class"].append(prediction.scores.argmax(axis=1))
        if lowest:
            parts["confidence"].append(prediction.probabilities.max(axis=1))
            parts["known"].append(np.stack([_known(one) for one in decoded]))
    return {name: np.concatenate(part) for name, part in parts.items() if part}


def _uncompressed(head: cf.TaskHead, items: cf.ImageSet) -> dict[str, Any]:
    judge = cf.get_head(head.reference) if head.reference else head
    sees = judge.accepts == cf.PIXELS
    classes: list[Any] = []
    targets: list[Any] = []
    for some in cf.chunks(items, _BATCH):
        images = [head.prepare(item.read()) for item in some]
        shapes = [image.shape[:2] for image in images]
        pairs = zip(some, shapes, strict=True)
        targets += [-1 if i.target is None else head.truth(i.target, s, s) for i, s in pairs]
        classes.append(
            judge.predict(images).scores.argmax(axis=1) if sees else np.full(len(some), -1)
        )
    return {"class": np.concatenate(classes), "target": np.array(targets)}


def _known(decoded: Any) -> npt.NDArray[Any]:
    """What the camera has of an image at the lowest level, (channels, rows, columns)."""
    if isinstance(decoded, cf.Latents):
        return np.asarray(decoded.values, np.int8)
    return _thumbnail(decoded)


def _thumbnail(image: Image) -> npt.NDArray[np.float32]:
    height, width = (side // _SIDE for side in image.shape[:2])
    tiles = image[: height * _SIDE, : width * _SIDE].astype(np.float32) / 255
    tiles = tiles.reshape(_SIDE, height, _SIDE, width, 3)
    both = np.concatenate([tiles.mean(axis=(1, 3)), tiles.std(axis=(1, 3))], axis=2)
    return both.transpose(2, 0, 1)
