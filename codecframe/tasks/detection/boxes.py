"""Boxes of objects, as heads find them and as files know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import MismatchError
from codecframe.core.image import Shape
from codecframe.core.task import PerImage, Values

FloatArray = npt.NDArray[np.float32]


class Boxes:
    """The boxes of one image.

    Args:
        corners: (boxes, 4): x0, y0, x1, y1 in pixels of the image, from its top left.
        classes: (boxes,): class indices; or names, as texts, where no head is known yet.
        scores: (boxes,): 0 to 1, how sure the head is; None: 1, as of truth.
        crowd: (boxes,): of truth, which are groups of objects: what is found in them is neither
            right nor wrong; None: none.

    Attributes:
        corners: `float32`, (boxes, 4).
        classes: `int64`, (boxes,); objects where they are names.
        scores: `float32`, (boxes,).
        crowd: `bool`, (boxes,).

    Raises:
        MismatchError: if the shapes do not go together, or a number is not finite.

    Examples:
        >>> boxes = cf.Boxes([[8, 4, 24, 30]], [1])
        >>> boxes.corners.dtype, boxes.scores.tolist()
        (dtype('float32'), [1.0])
    """

    def __init__(
        self,
        corners: npt.ArrayLike,
        classes: npt.ArrayLike,
        scores: npt.ArrayLike | None = None,
        crowd: npt.ArrayLike | None = None,
    ) -> None:
        self.classes: npt.NDArray[Any] = np.asarray(classes)
        count = self.classes.size
        if self.classes.dtype.kind not in "OU" or not count:
            self.classes = self.classes.astype(np.int64)
        self.corners = np.asarray(corners, np.float32)
        self.scores = np.asarray(np.ones(count) if scores is None else scores, np.float32)
        self.crowd = np.asarray(np.zeros(count) if crowd is None else crowd, np.bool_)
        if not self.corners.size:
            self.corners = self.corners.reshape(-1, 4)
        shapes = {name: values.shape for name, values in vars(self).items()}
        if shapes != dict.fromkeys(shapes, (count,)) | {"corners": (count, 4)}:
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise MismatchError(f"boxes do not go together: {listed}")
        if not np.isfinite(self.corners).all() or not np.isfinite(self.scores).all():
            raise MismatchError("boxes have numbers that are not finite")

    def __len__(self) -> int:
        return len(self.classes)

    def chosen(self, which: Any) -> Boxes:
        """Some of the boxes, by position or by a mask."""
        return Boxes(
            self.corners[which], self.classes[which], self.scores[which], self.crowd[which]
        )

    def resized(self, shape: Shape, new: Shape) -> Boxes:
        """The boxes once the image, of (height, width) `shape`, has the size `new`."""
        if tuple(shape) == tuple(new):
            return self
        factors = np.array([new[1] / shape[1], new[0] / shape[0]] * 2, np.float32)
        return Boxes(self.corners * factors, self.classes, self.scores, self.crowd)


@dataclass(frozen=True, eq=False)
class RelativeBoxes:
    """Boxes as shares of an image whose size is not known yet: of an image of one pixel."""

    boxes: Boxes


NO_BOXES = Boxes(np.empty((0, 4), np.float32), np.empty(0, np.int64))


@dataclass(frozen=True)
class Detections(PerImage[Boxes]):
    """What a detector finds in a batch of images.

    Attributes:
        images: the boxes of each image, those of the highest score first.
        labels: class names, or empty.
        threshold: the score from which on a box is taken to be found: shown, counted, and truth
            where there is no other. mAP counts all boxes.

    Examples:
        >>> found = cf.Detections((cf.Boxes([[8, 4, 24, 30]], [1], [0.9]),), ("cat", "dog"))
        >>> cf.get_task("detection").to_json(found)[0]["boxes"][0]["label"]
        'dog'
    """

    labels: tuple[str, ...] = ()
    threshold: float = 0.5

    def label(self, index: int) -> str:
        """Name of a class, or its number where it has none."""
        return self.labels[index] if index < len(self.labels) else str(index)

    def sure(self) -> list[Boxes]:
        """Of each image the boxes from the threshold on."""
        return [one.chosen(one.scores >= self.threshold) for one in self.images]


def overlaps(some: FloatArray, others: FloatArray) -> Values:
    """Intersection over union of each of `some` with each of `others`, (some, others)."""
    inside = intersections(some, others)
    union = areas(some)[:, None] + areas(others)[None, :] - inside
    return np.asarray(inside / np.maximum(union, 1e-9))


def intersections(some: FloatArray, others: FloatArray) -> Values:
    """Areas that each of `some` has in common with each of `others`, (some, others)."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    return np.asarray((high - low).clip(min=0).prod(axis=2, dtype=np.float64))


def areas(corners: FloatArray) -> Values:
    """The area of each box."""
    return np.asarray((corners[:, 2:] - corners[:, :2]).clip(min=0).prod(axis=1, dtype=np.float64))
