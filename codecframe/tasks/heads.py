"""Heads of models for the tasks that have one array of outputs: classes, maps, vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as PilImage

from codecframe.core.classification import Prediction, check_scores
from codecframe.core.errors import MismatchError
from codecframe.core.image import Shape
from codecframe.core.settings import option
from codecframe.core.task import Model, Task
from codecframe.tasks.embedding import EMBEDDING, Embeddings
from codecframe.tasks.modelhead import ModelHead, ModelOptions, Outputs
from codecframe.tasks.multilabel import MULTILABEL
from codecframe.tasks.segmentation import (
    IGNORED,
    SEGMENTATION,
    ClassMaps,
    resized_map,
)

_EDGE = 1e-7


@dataclass(frozen=True, kw_only=True)
class OneOutput(ModelOptions):
    """What a head description file says where one output is the prediction."""

    output: str | int | None = option(None, help="its name or number, where there are several")


@dataclass(frozen=True, kw_only=True)
class MultiLabelOptions(OneOutput):
    """What a head description file says of a head of any number of classes."""

    outputs: str = option("sigmoid", choices=("sigmoid", "logits"), help="what the model gives")


class MultiLabelHead(ModelHead[MultiLabelOptions]):
    """A model that gives each class a probability by itself: (images, classes)."""

    task: Task = MULTILABEL
    options_type = MultiLabelOptions
    summary = "any number of classes an image"

    def of_outputs(
        self, outputs: Outputs, shapes: Sequence[Shape], given: tuple[int, int, int]
    ) -> Prediction:
        """See `ModelHead.of_outputs`."""
        expected = "one output (images, classes)"
        values = np.asarray(self.only(outputs, self._options.output, 2, expected))
        if len(values) != given[0] or (self.labels and values.shape[1] != len(self.labels)):
            raise self.wrong(outputs, f"{expected} for {len(self.labels)} labels")
        scores = check_scores(values, given[0], self.name)
        if self._options.outputs == "sigmoid":
            if scores.min() < -1e-3 or scores.max() > 1 + 1e-3:
                raise MismatchError(
                    f"head {self.name!r} gives values from {scores.min():.3g} to "
                    f"{scores.max():.3g}, which are not `outputs: sigmoid`"
                )
            inside = scores.astype(np.float64).clip(_EDGE, 1 - _EDGE)
            scores = np.asarray(np.log(inside) - np.log1p(-inside), np.float32)
        return Prediction(scores[: len(shapes)], self.labels, sigmoid=True)


class EmbeddingHead(ModelHead[OneOutput]):
    """A model one of whose outputs is a vector an image; more axes are flattened."""

    task: Task = EMBEDDING
    options_type = OneOutput
    summary = "a vector an image"

    def of_outputs(
        self, outputs: Outputs, shapes: Sequence[Shape], given: tuple[int, int, int]
    ) -> Embeddings:
        """See `ModelHead.of_outputs`."""
        name = self._options.output
        if name is None and len(outputs) == 1:
            (name,) = outputs
        values = np.asarray(self.only(outputs, name, 2, "one output (images, ...)"), np.float32)
        if len(values) != given[0] or values.ndim < 2:
            raise self.wrong(outputs, f"vectors of {given[0]} images")
        vectors = values.reshape(len(values), -1)[: len(shapes)]
        if not np.isfinite(vectors).all():
            raise MismatchError(f"head {self.name!r} gave vectors that are not finite")
        return Embeddings(vectors)


class SegmentationHead(ModelHead[OneOutput]):
    """A model that gives a class, or scores of classes, for places of a grid over the image.

    The grid may be of any stride: scores are interpolated to the size of the image, classes taken
    from the nearest place.
    """

    task: Task = SEGMENTATION
    options_type = OneOutput
    whole = True
    summary = "a class for every pixel"

    def __init__(self, model: Model, options: OneOutput) -> None:
        super().__init__(model, options)
        self._of_none()  # an output that is wrong is told now

    def of_outputs(
        self, outputs: Outputs, shapes: Sequence[Shape], given: tuple[int, int, int]
    ) -> ClassMaps:
        """See `ModelHead.of_outputs`."""
        expected = "one output (images, classes, height, width), or classes (images, height, width)"
        name = self._options.output
        if name is None and len(outputs) == 1:
            (name,) = outputs
        values = np.asarray(self.only(outputs, name, 4, expected))
        if values.ndim == 4 and values.shape[1] == 1:
            values = values[:, 0]
        if len(values) != given[0] or values.ndim not in (3, 4):
            raise self.wrong(outputs, expected)
        if values.ndim == 4:
            values = self._classes_first(values, outputs, expected)
        elif values.dtype.kind not in "iu" and not np.array_equal(values, np.rint(values)):
            raise self.wrong(outputs, f"{expected}: a class is a whole number")
        pairs = zip(values, shapes, strict=False)  # those that fill a batch up are left out
        maps = tuple(self._map(one, shape, given[1:]) for one, shape in pairs)
        return ClassMaps(maps, self.labels)

    def _classes_first(self, values: Any, outputs: Outputs, expected: str) -> Any:
        """Scores with the classes first; channels last are told by the labels."""
        classes = len(self.labels)
        if classes and values.shape[1] != classes:
            if values.shape[3] != classes:
                raise self.wrong(outputs, f"{expected}, of {classes} classes")
            values = values.transpose(0, 3, 1, 2)
        if values.shape[1] >= IGNORED:
            raise self.wrong(outputs, f"{expected}, of less than {IGNORED} classes")
        return np.asarray(values, np.float32)

    def _map(self, values: Any, shape: Shape, given: Shape) -> Any:
        """The map of one image, at its own size."""
        top, left, height, width = self.preprocess.place(shape)
        rows, columns = values.shape[-2] / given[0], values.shape[-1] / given[1]
        box = (left * columns, top * rows, (left + width) * columns, (top + height) * rows)
        if values.ndim == 2:
            classes = np.asarray(values).clip(0, IGNORED - 1).astype(np.uint8)
            inside = classes[round(box[1]) : round(box[3]), round(box[0]) : round(box[2])]
            return resized_map(np.ascontiguousarray(inside), shape)
        size = (shape[1], shape[0])
        best, found = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.uint8)
        for index, scores in enumerate(values):  # one plane at a time: maps may be large
            plane = PilImage.fromarray(scores).resize(size, PilImage.Resampling.BILINEAR, box)
            better = np.asarray(plane) > best
            best[better], found[better] = np.asarray(plane)[better], index
        return found
