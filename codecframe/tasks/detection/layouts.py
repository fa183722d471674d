"""What the numbers that a detector gives mean: layouts of its outputs, as data.

| layout | outputs | models |
| --- | --- | --- |
| `lists` | boxes (n, 4), scores (n), labels (n), suppressed inside | torchvision |
| `boxes-scores` | boxes (images, n, 4), scores (images, n, classes) | NanoDet, SSD, EfficientDet |
| `yolo` | one: (images, 4 + classes, n), or n first | YOLOv8 to v11 |
| `yolo-objectness` | one: (images, n, 5 + classes), or n last | YOLOv5 to v7, YOLOX |
| `detr` | boxes (images, n, 4), logits (images, n, classes [+ 1]) | DETR, RT-DETR |

The fifth channel of YOLOs before v8 is multiplied; DETR's last class is no object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.tasks.detection.boxes import overlaps

FloatArray = npt.NDArray[np.float32]
Found = tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]
"""Of one image: corners (n, 4), scores (n,), classes (n,)."""

FORMS = ("corners", "centre", "size")
"""x0 y0 x1 y1; x and y of the centre, width, height; x0 y0 width height."""
UNITS = ("pixels", "shares")
"""Of the model's input: its pixels, or shares of its width and height."""
ACTIVATIONS = ("none", "sigmoid", "softmax")
_MOST_TRIED = 3000


@dataclass(frozen=True)
class Layout:
    """What is usual for a layout, where a description says nothing else."""

    expected: str
    form: str
    unit: str
    activation: str
    suppression: float


LAYOUTS: Mapping[str, Layout] = {
    "lists": Layout(
        "three outputs: boxes (n, 4), scores (n) and labels (n)", "corners", "pixels", "none", 1.0
    ),
    "boxes-scores": Layout(
        "boxes (images, n, 4) and scores (images, n, classes)", "corners", "pixels", "none", 0.6
    ),
    "yolo": Layout("one output (images, 4 + classes, n)", "centre", "pixels", "none", 0.6),
    "yolo-objectness": Layout(
        "one output (images, n, 5 + classes)", "centre", "pixels", "none", 0.6
    ),
    "detr": Layout(
        "boxes (images, n, 4) and logits (images, n, classes), perhaps one more for no object",
        "centre", "shares", "softmax", 1.0,
    ),
}  # fmt: skip


def activated(values: FloatArray, activation: str) -> FloatArray:
    """Scores from 0 to 1 along the last axis, of what the model gives."""
    if activation == "sigmoid":
        return np.asarray(np.exp(-np.logaddexp(0, -values)), np.float32)
    if activation == "softmax":
        shifted = np.exp(values - values.max(axis=-1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)
    return np.asarray(values, np.float32)


def torch_activation(activation: str) -> Any:
    """`activated` as a function of tensors of torch."""
    if activation == "none":
        return lambda values: values
    import torch  # what is activated are its tensors

    return torch.sigmoid if activation == "sigmoid" else lambda values: torch.softmax(values, -1)


def corners_of(boxes: FloatArray, form: str, unit: str, size: tuple[int, int]) -> FloatArray:
    """Boxes (n, 4) of a form and unit as corners in pixels of the model's input.

    Args:
        boxes: as the model gives them.
        form: one of `FORMS`.
        unit: one of `UNITS`.
        size: (height, width) of the input.
    """
    first, second = boxes[:, :2], boxes[:, 2:]
    if form == "centre":
        half = second * np.float32(0.5)
        first, second = first - half, first + half
    elif form == "size":
        second = first + second
    sides = [size[1], size[0]] * 2 if unit == "shares" else [1] * 4
    return np.concatenate([first, second], axis=1) * np.array(sides, np.float32)


def each_class(corners: FloatArray, scores: FloatArray, least: float) -> Found:
    """A box for every class whose score (n, classes) is at least so high; the highest scores."""
    rows, classes = np.nonzero(scores >= least)
    values = scores[rows, classes]
    if len(values) > _MOST_TRIED:
        kept = np.argpartition(-values, _MOST_TRIED)[:_MOST_TRIED]
        rows, classes, values = rows[kept], classes[kept], values[kept]
    return corners[rows], values, classes.astype(np.int64)


def suppressed(found: Found, overlap: float) -> Found:
    """Without boxes that overlap a surer one of their class by more; the highest scores first."""
    corners, scores, classes = found
    order = np.argsort(-scores, kind="stable")
    if overlap < 1:
        kept = np.zeros(len(order), bool)
        for of_class in np.unique(classes):
            places = order[classes[order] == of_class]
            kept[_kept(corners, places, overlap)] = True
        order = order[kept[order]]
    return corners[order], scores[order], classes[order]


def _kept(corners: FloatArray, places: npt.NDArray[np.intp], overlap: float) -> list[int]:
    """Of boxes of one class, in order of their scores, those that stay."""
    stay: list[int] = []
    while len(places):
        first, places = int(places[0]), places[1:]
        stay.append(first)
        shared = overlaps(corners[first : first + 1], corners[places])[0]
        places = places[shared <= overlap]
    return stay


def split_yolo(output: Any, objectness: bool, classes: int) -> tuple[Any, Any] | None:
    """(boxes (images, n, 4), scores (images, n, classes)) of a YOLO's output, with objectness
    before the scores; None if it is none.

    Args:
        output: (images, channels, n) or (images, n, channels); an array of numpy or torch.
        objectness: whether the fifth channel says how sure it is that there is an object.
        classes: how many there are; 0: not known, then the shorter axis is that of the channels.
    """
    values = output
    first = 5 if objectness else 4
    if values.ndim != 3:
        return None
    if classes:
        right = [axis for axis in (1, 2) if values.shape[axis] == first + classes]
        axis = right[0] if right else 0
    else:
        axis = 1 if values.shape[1] < values.shape[2] else 2
        axis = axis if values.shape[axis] > first else 0
    if not axis:
        return None
    rows = values.swapaxes(1, 2) if axis == 1 else values
    return rows[..., :4], rows[..., 4:]
