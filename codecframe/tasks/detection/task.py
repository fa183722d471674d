"""Detection: boxes of objects, scored by COCO's mean average precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from codecframe.core.errors import DataError, MismatchError, shown
from codecframe.core.image import Image, Shape
from codecframe.core.task import Classes, Model, Task, Values
from codecframe.tasks.detection import coco, truth
from codecframe.tasks.detection.boxes import (
    Boxes,
    Detections,
    RelativeBoxes,
    areas,
    intersections,
    overlaps,
)
from codecframe.tasks.drawing import draw_boxes

_SAME = 0.5
"""Overlap from which on two boxes are the same object."""
_MOST_SHOWN = 300


class Detection(Task):
    """Boxes of objects in images.

    A target is `Boxes` with class indices. Image by image, a score is the harmonic mean of
    precision and recall (F1) of the boxes from the head's threshold on, at an overlap of 0.5; sets
    are scored by COCO's mAP.
    """

    name = "detection"
    summary = "boxes of objects"
    metric = "mAP"
    has_records = True
    image_metric = "F1"
    figure_names = ("AP50", "AP75")
    requires = MappingProxyType({"pycocotools": coco.INSTALL})

    def score(self, prediction: Detections, targets: Sequence[Any]) -> Values:
        """F1 of the boxes that are sure, at an overlap of 0.5; 1 where there are none at all."""
        return np.array(
            [_f1(one, _boxes(t)) for one, t in zip(prediction.sure(), targets, strict=True)],
            np.float64,
        )

    def loss(self, prediction: Detections, targets: Sequence[Any]) -> Values:
        """Squared errors of the scores (Brier, Monthly Weather Review 1950): of a right box 1 less
        score times overlap; of a wrong one its score; of a missed one 1. So what is said with a
        small score is worth saying if it is right as often.
        """
        pairs = zip(prediction.images, targets, strict=True)
        return np.array([_squares(one, _boxes(t)) for one, t in pairs], np.float64)

    def divergence(self, prediction: Detections, reference: Detections) -> Values:
        """How much of the scores is elsewhere: of boxes of one class that overlap by half or more,
        the difference of the scores and the share that does not overlap; of others, their scores.
        Summed over the boxes, and of the same order as the number of objects that changed.
        """
        pairs = zip(prediction.images, reference.images, strict=True)
        return np.array([_distance(one, other) for one, other in pairs], np.float64)

    def pseudo_targets(self, prediction: Detections) -> list[Any]:
        """The boxes from the threshold on."""
        return [Boxes(one.corners, one.classes) for one in prediction.sure()]

    def confidence(self, prediction: Detections) -> Values:
        """That of the box of which it is least sure, there or not; 1 where there is none."""
        return np.array(
            [np.maximum(one.scores, 1 - one.scores).min(initial=1.0) for one in prediction.images],
            np.float64,
        )

    # -- over a set -----------------------------------------------------------------------

    def records(self, prediction: Detections, targets: Sequence[Any]) -> list[Any]:
        """See `coco.records`."""
        return list(coco.records(prediction.images, [_boxes(target) for target in targets]))

    def missed(self, targets: Sequence[Any]) -> list[Any]:
        """See `Task.missed`."""
        return list(coco.missed([_boxes(target) for target in targets]))

    def set_scores(self, records: Sequence[Any], weights: Values) -> Values:
        """COCO's mAP, (sets,)."""
        return coco.Precision(records).mean(weights)

    def figures(self, records: Sequence[Any]) -> dict[str, float]:
        """`AP50` and `AP75`: the precision at one overlap."""
        precision, once = coco.Precision(records), np.ones((1, len(records)))
        return {
            "AP50": float(precision.mean(once, slice(0, 1))[0]),
            "AP75": float(precision.mean(once, slice(5, 6))[0]),
        }

    # -- truth ----------------------------------------------------------------------------

    def read_truth(
        self, source: str, where: Mapping[str, str], images: Sequence[str]
    ) -> list[Any] | None:
        """From COCO's JSON, a folder of YOLO's text files, or CSV; see `truth.read`."""
        return list(truth.read(source, where, images))

    def target(self, truth: Any, head: Classes, shape: Shape, new: Shape) -> Any:
        """Boxes in pixels of the image that is predicted; classes are the head's indices."""
        if isinstance(truth, RelativeBoxes):
            truth = truth.boxes.resized((1, 1), shape)
        boxes = _boxes(truth).resized(shape, new)
        if boxes.classes.dtype.kind in "iu":
            if head.labels and len(boxes) and boxes.classes.max() >= len(head.labels):
                raise MismatchError(
                    f"head {head.name!r} has {len(head.labels)} classes; the truth has a box of "
                    f"class {boxes.classes.max()}"
                )
            return boxes
        known = {name: head.target_of(str(name)) for name in set(boxes.classes.tolist())}
        indices = np.array([known[name] for name in boxes.classes.tolist()], np.int64)
        return Boxes(boxes.corners, indices, boxes.scores, boxes.crowd)

    # -- for people, files and the link ---------------------------------------------------

    def to_json(self, prediction: Detections) -> list[dict[str, Any]]:
        """`boxes`, a list of `box` (x0, y0, x1, y1 in pixels), `label`, `index` and `score`: those
        from the threshold on.
        """
        return [
            {"boxes": _listed(one, prediction.labels, scores=True)} for one in prediction.sure()
        ]

    def target_to_json(self, target: Any) -> Any:
        """As `to_json`, without scores; classes by index."""
        return {"boxes": _listed(_boxes(target), (), scores=False)}

    def words(self, said: Mapping[str, Any]) -> str:
        """`2 person, dog`."""
        counts = Counter(label for _, label, _ in _read(said))
        named = (f"{n} {label}" if n > 1 else label for label, n in counts.most_common())
        return ", ".join(named) or "nothing"

    def draw(self, image: Image, said: Mapping[str, Any], truth: Any = None) -> Image:
        """Boxes with label and score; those of the truth dashed, under them."""
        known = [] if truth is None else _read(truth)
        found = _read(said)
        texts = [
            label if score is None else f"{label} {100 * score:.0f}" for _, label, score in found
        ]
        return draw_boxes(
            image,
            [corners for corners, _, _ in found],
            texts,
            [label for _, label, _ in found],
            [corners for corners, _, _ in known],
        )

    def head(self, model: Model, options: Mapping[str, Any]) -> Any:
        """A `DetectorHead`."""
        from codecframe.tasks.detection.head import DetectorHead

        return DetectorHead.of(model, options)


DETECTION = Detection()


def _boxes(target: Any) -> Boxes:
    if not isinstance(target, Boxes):
        raise MismatchError(f"the truth of a detection is boxes, not {shown(target)}")
    return target


def _f1(found: Boxes, truth: Boxes) -> float:
    """F1 of boxes: the surest first, each takes the truth of its class that it overlaps most."""
    wanted = truth.chosen(~truth.crowd)
    pairs = _pairs(found, wanted)
    wrong = [i for i in range(len(found)) if i not in pairs]
    groups = truth.chosen(truth.crowd)
    of_group = sum(_within(found, i, groups) for i in wrong)
    total = len(found) - of_group + len(wanted)
    return 2 * len(pairs) / total if total else 1.0


def _within(found: Boxes, place: int, groups: Boxes) -> bool:
    """Whether a box lies by half or more in a group of its class."""
    same = groups.corners[groups.classes == found.classes[place]]
    one = found.corners[place : place + 1]
    inside = intersections(one, same) / np.maximum(areas(one), 1e-9)
    return bool((inside >= _SAME).any())


def _pairs(some: Boxes, others: Boxes) -> dict[int, int]:
    """Boxes of `some` with those of `others` that are the same objects, each once."""
    found: dict[int, int] = {}
    if not len(some) or not len(others):
        return found
    overlap = overlaps(some.corners, others.corners)
    overlap[some.classes[:, None] != others.classes[None, :]] = 0
    for place in np.argsort(-some.scores, kind="stable").tolist():
        best = int(overlap[place].argmax())
        if overlap[place, best] >= _SAME:
            found[place] = best
            overlap[:, best] = 0
    return found


def _distance(some: Boxes, others: Boxes) -> float:
    others = others.chosen(~others.crowd)
    pairs = _pairs(some, others)
    mine, theirs = list(pairs), list(pairs.values())
    a, b = some.scores[mine].astype(np.float64), others.scores[theirs].astype(np.float64)
    rows = np.arange(len(mine))
    overlap = overlaps(some.corners[mine], others.corners[theirs])[rows, rows] if mine else rows
    moved = np.minimum(a, b) * (1 - np.minimum(overlap, 1))
    alone = np.delete(some.scores, mine).sum() + np.delete(others.scores, theirs).sum()
    return float((np.abs(a - b) + moved).sum()) + float(alone)


def _squares(found: Boxes, truth: Boxes) -> float:
    """See `Detection.loss`."""
    wanted, groups = truth.chosen(~truth.crowd), truth.chosen(truth.crowd)
    pairs = _pairs(found, wanted)
    mine, theirs = list(pairs), list(pairs.values())
    overlap = overlaps(found.corners, wanted.corners)[mine, theirs] if mine else np.zeros(0)
    scores = found.scores.astype(np.float64)
    wrong = [i for i in range(len(found)) if i not in pairs and not _within(found, i, groups)]
    right = (1 - scores[mine] * np.minimum(overlap, 1)) ** 2
    return float(right.sum() + (scores[wrong] ** 2).sum()) + len(wanted) - len(pairs)


def _listed(boxes: Boxes, labels: Sequence[str], *, scores: bool) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for place, corners in enumerate(boxes.corners.tolist()):
        index = int(boxes.classes[place])
        one: dict[str, Any] = {
            "box": [round(side, 1) for side in corners],
            "label": labels[index] if index < len(labels) else str(index),
            "index": index,
        }
        if scores:
            one["score"] = round(float(boxes.scores[place]), 4)
        made.append(one)
    return made


def _read(said: Mapping[str, Any]) -> list[tuple[list[float], str, float | None]]:
    """(corners, label, score) of boxes in plain data, which may be a stranger's.

    Raises:
        DataError: if it is not of that form.
    """
    found = []
    try:
        for one in said["boxes"][:_MOST_SHOWN]:
            corners = [min(max(float(side), -1e6), 1e6) for side in one["box"]]
            label, score = one["label"], one.get("score")
            if len(corners) != 4 or not np.isfinite(corners).all() or not isinstance(label, str):
                raise ValueError
            found.append((corners, label, None if score is None else float(score)))
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        raise DataError("detection", f"is not what a detector says: {shown(said)}") from None
    return found
