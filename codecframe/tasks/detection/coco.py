"""Mean average precision as COCO has it: pycocotools matches boxes, image by image; precision is
accumulated here, so that images can be weighted.

COCO's mAP is the mean, over 80 classes and ten overlaps from 0.5 to 0.95, of the precision at 101
recalls (Lin et al., ECCV 2014; https://cocodataset.org/#detection-eval).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import DataError, shown
from codecframe.core.registry import require
from codecframe.tasks.detection.boxes import Boxes, areas

INSTALL = "codecframe[detection]"
OVERLAPS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)
_MOST = 100
"""Boxes of an image and class that COCO's metric looks at: those of the highest scores."""
_ALL = [0, 1e10]

Record = dict[str, Any]
"""Of one image: `truths`, how many boxes each class has; `found`, a list for each box that was
found: class, score, overlaps at which it is right and at which it does not count, as bits."""
Values = npt.NDArray[np.float64]


def records(found: Sequence[Boxes], truths: Sequence[Boxes]) -> list[Record]:
    """What mAP needs of each image.

    Raises:
        DependencyError: if pycocotools is not installed.
    """
    made: list[Record] = [{"truths": _counts(truth), "found": []} for truth in truths]
    for image, one in _matched(found, truths):
        of_class = int(one["category_id"])
        bits = 1 << np.arange(len(OVERLAPS))
        right = (np.asarray(one["dtMatches"]) > 0).T @ bits
        ignored = np.asarray(one["dtIgnore"]).astype(bool).T @ bits
        rows = zip(one["dtScores"], right.tolist(), ignored.tolist(), strict=True)
        made[image]["found"] += [[of_class, float(f"{s:.7g}"), r, i] for s, r, i in rows]
    return made


def missed(truths: Sequence[Boxes]) -> list[Record]:
    """The records of images in which nothing was found."""
    return [{"truths": _counts(truth), "found": []} for truth in truths]


def _counts(truth: Boxes) -> dict[str, int]:
    classes, counts = np.unique(truth.classes[~truth.crowd], return_counts=True)
    return {str(int(k)): int(n) for k, n in zip(classes, counts, strict=True)}


def _matched(
    found: Sequence[Boxes], truths: Sequence[Boxes]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(image, what pycocotools says of a class in it) for each class that was found there."""
    coco = require("pycocotools.coco", INSTALL)
    evaluation = require("pycocotools.cocoeval", INSTALL)
    if not any(map(len, found)):
        return
    classes = {int(k) for boxes in (*found, *truths) for k in boxes.classes}
    about = {
        "info": {},
        "images": [{"id": image} for image in range(len(truths))],
        "categories": [{"id": k} for k in sorted(classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # it prints
        sides = []
        for boxes in (truths, found):
            side = coco.COCO()
            side.dataset = {**about, "annotations": _annotations(boxes)}
            side.createIndex()
            sides.append(side)
        run = evaluation.COCOeval(*sides, "bbox")
        run.params.iouThrs = OVERLAPS
        run.params.areaRng, run.params.areaRngLbl = [_ALL], ["all"]
        run.params.maxDets = [_MOST]
        run.evaluate()
    for one in run.evalImgs:
        if one is not None and one["dtIds"]:
            yield int(one["image_id"]), one


def _annotations(boxes: Sequence[Boxes]) -> list[dict[str, Any]]:
    """Boxes as COCO's files have them."""
    made: list[dict[str, Any]] = []
    for image, one in enumerate(boxes):
        sides = one.corners[:, 2:] - one.corners[:, :2]
        rows = zip(one.corners, sides, areas(one.corners), one.classes, strict=True)
        for place, (corner, side, area, of_class) in enumerate(rows):
            made.append(
                {
                    "id": len(made) + 1,
                    "image_id": image,
                    "category_id": int(of_class),
                    "bbox": [*map(float, corner[:2]), *map(float, side)],
                    "area": float(area),
                    "iscrowd": int(one.crowd[place]),
                    "score": float(one.scores[place]),
                }
            )
    return made


class Precision:
    """Average precision of sets of images, from records.

    Args:
        kept: the images' records.

    Raises:
        DataError: if one is not as `records` makes them: they may come from a stranger's file.
    """

    def __init__(self, kept: Sequence[Any]) -> None:
        counts: dict[int, Values] = {}
        rows: dict[int, list[tuple[int, float, int, int]]] = {}
        for image, record in enumerate(kept):
            try:
                for key, n in record["truths"].items():
                    counts.setdefault(int(key), np.zeros(len(kept)))[image] = float(n)
                for of_class, score, right, ignored in record["found"]:
                    bits = _bits(right), _bits(ignored)
                    rows.setdefault(int(of_class), []).append((image, float(score), *bits))
            except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
                raise DataError("detection", f"is not a record: {shown(record)}") from None
        self._counts = counts
        self._found = {k: np.array(rows.get(k, []), np.float64).reshape(-1, 4) for k in counts}

    def mean(self, weights: Values, overlaps: slice = slice(None)) -> Values:
        """mAP of sets that hold images so often, (sets, images) to (sets,); 0 without any truth.

        Args:
            weights: how often a set holds each image.
            overlaps: at which of `OVERLAPS`.
        """
        total, known = np.zeros(len(weights)), np.zeros(len(weights))
        for of_class, counts in self._counts.items():
            truths = weights @ counts
            of_sets = self._of_class(of_class, weights, truths, overlaps)
            total += np.where(truths > 0, of_sets, 0)
            known += truths > 0
        return np.asarray(total / np.maximum(known, 1))

    def _of_class(self, of_class: int, weights: Values, truths: Values, overlaps: slice) -> Values:
        """Average precision of a class, the mean over overlaps, (sets,)."""
        image, score, right, ignored = self._found[of_class].T
        order = np.argsort(-score, kind="stable")
        is_right, is_ignored = (bits[order].astype(np.int64) for bits in (right, ignored))
        last = np.flatnonzero(is_right)[-1:] + 1  # what comes after it changes nothing
        order = order[: int(last[0]) if len(last) else 0]
        often = weights[:, image[order].astype(np.int64)]
        taken = np.cumsum(often, axis=1)
        levels = np.arange(len(OVERLAPS))[overlaps]
        found = np.zeros(len(weights))
        for level in levels:
            left_out = (is_ignored[: len(order)] >> level) & 1 == 1
            places = np.flatnonzero(((is_right[: len(order)] >> level) & 1 == 1) & ~left_out)
            counted = taken - np.cumsum(often * left_out, axis=1) if left_out.any() else taken
            found += _average(often[:, places], counted[:, places], truths)
        return found / len(levels)


def _bits(value: Any) -> int:
    if not 0 <= int(value) < 1 << len(OVERLAPS):
        raise ValueError
    return int(value)


def _average(often: Values, taken: Values, truths: Values) -> Values:
    """Precision at 101 recalls, the mean, (sets,). It can only be highest after a box that is
    right, so that no others need be looked at.

    Args:
        often: of the boxes that are right, the surest first, how often each set holds them,
            (sets, boxes).
        taken: how many boxes are found up to each of them, the same.
        truths: how many there are to find, (sets,).
    """
    right = np.cumsum(often, axis=1)
    precision = right / np.maximum(taken, np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = right / np.maximum(truths, 1)[:, None]
    reached = np.searchsorted(_RECALLS, recall, side="right")
    steps = np.diff(reached, axis=1, prepend=0)
    return np.asarray((best * steps).sum(axis=1) / len(_RECALLS))
