"""Detectors as heads: models whose outputs are read as a layout says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from codecframe.core.errors import SettingsError
from codecframe.core.image import Image, Shape
from codecframe.core.settings import option
from codecframe.core.task import Model, Task
from codecframe.tasks.detection import layouts
from codecframe.tasks.detection.boxes import Boxes, Detections, FloatArray
from codecframe.tasks.detection.layouts import LAYOUTS, Found
from codecframe.tasks.detection.task import DETECTION
from codecframe.tasks.modelhead import ModelHead, ModelOptions, Outputs

_ROLES = ("boxes", "scores", "labels")


@dataclass(frozen=True, kw_only=True)
class DetectorOptions(ModelOptions):
    """What a head description file says of a detector, besides `model` and `task`."""

    layout: str = option("boxes-scores", choices=tuple(LAYOUTS), help="of the model's outputs")
    outputs: dict[str, Any] | None = option(
        None, help="names of the outputs with `boxes`, `scores`, `labels`; none: told by shape"
    )
    form: str | None = option(None, choices=layouts.FORMS, help="of boxes; none: the layout's")
    unit: str | None = option(None, choices=layouts.UNITS, help="of boxes; none: the layout's")
    activation: str | None = option(
        None, choices=layouts.ACTIVATIONS, help="that makes scores of outputs; none: the layout's"
    )
    suppression: float | None = option(
        None, low=0, high=1, help="overlap from which the less sure box goes; 1: none does; none: "
        "the layout's"
    )  # fmt: skip
    least: float = option(0.05, low=0, high=1, help="score from which on boxes are kept")
    threshold: float = option(0.4, low=0, high=1, help="score from which on a box is shown")
    most: int = option(100, low=1, high=1000, help="boxes of an image")
    first: int = option(0, low=0, high=1, help="number of the first class in `lists`")

    def __post_init__(self) -> None:
        super().__post_init__()
        for role in self.outputs or {}:
            if role not in _ROLES:
                raise SettingsError("outputs", role, f"names of {', '.join(_ROLES)}")


class DetectorHead(ModelHead[DetectorOptions]):
    """A detector: boxes come back in pixels of the images that it was given.

    Args:
        model: runs.
        options: what is said of it.

    Raises:
        MismatchError: if the model's outputs are not of the layout; names their shapes.
    """

    task: Task = DETECTION
    options_type = DetectorOptions
    whole = True
    summary = "a detector"

    def __init__(self, model: Model, options: DetectorOptions) -> None:
        super().__init__(model, options)
        usual = LAYOUTS[options.layout]
        self._form = options.form or usual.form
        self._unit = options.unit or usual.unit
        self._activation = options.activation or usual.activation
        self._overlap = usual.suppression if options.suppression is None else options.suppression
        self._of_none()  # a layout that is wrong is told now

    def of_outputs(
        self, outputs: Outputs, shapes: Sequence[Shape], given: tuple[int, int, int]
    ) -> Detections:
        """See `ModelHead.of_outputs`."""
        found = self._found(outputs, given)
        images = tuple(self._placed(*pair) for pair in zip(found, shapes, strict=False))
        return Detections(images, self.labels, self._options.threshold)

    def _found(self, outputs: Outputs, given: tuple[int, int, int]) -> list[Found]:
        """Of each image the corners, scores and classes, in pixels of the model's input."""
        if self._options.layout == "lists":
            return [self._of_lists(outputs, given[1:])]
        boxes, raw = (np.asarray(each, np.float32) for each in self._parts(outputs))
        if len(boxes) != given[0]:
            raise self.wrong(outputs, f"{self._expected} of {given[0]} images")
        scores = self._of_classes(layouts.activated(raw, self._activation))
        found = []
        for corners, values in zip(boxes, scores, strict=True):
            placed = layouts.corners_of(corners, self._form, self._unit, given[1:])
            found.append(layouts.each_class(placed, values, self._options.least))
        return found

    def _parts(self, outputs: Outputs) -> tuple[Any, Any]:
        """Boxes (images, n, 4) and what scores are made of, (images, n, ...), as the model gives
        them: arrays of numpy or torch.
        """
        is_yolo = self._options.layout.startswith("yolo")
        return self._of_yolo(outputs) if is_yolo else self._of_pair(outputs)

    def _of_classes(self, activated: Any) -> Any:
        """Scores of the classes, (images, n, classes), without what else is beside them."""
        if self._options.layout == "yolo-objectness":
            return activated[..., :1] * activated[..., 1:]
        return activated[..., : len(self.labels)] if self.labels else activated

    def pixel_gradients(
        self, images: Sequence[Image], targets: FloatArray | None
    ) -> list[FloatArray] | None:
        """See `TaskHead.pixel_gradients`: of boxes and scores, where torch can follow the model."""
        if self._options.layout == "lists" or (model := self._network) is None:
            return None
        from codecframe.tasks.detection.slopes import slopes

        found = []
        for number, image in enumerate(images):
            values = self.preprocess.batch([image])
            gradients = slopes(lambda given: self._scored(model(given)), values, self._form, number)
            top, left, height, width = self.preprocess.place(image.shape[:2])
            pixels = self.preprocess.pixel_gradients(gradients)[0]
            found.append(pixels[top : top + height, left : left + width])
        return found

    def residuals(self, outputs: Outputs, reference: Outputs) -> Any:
        """See `ModelHead.residuals`: of scores and boxes, before suppression."""
        if self._options.layout == "lists":
            return None
        from codecframe.tasks.detection.slopes import residuals

        return residuals(self._scored(outputs), self._scored(reference), self._form)

    def _scored(self, outputs: Outputs) -> tuple[Any, Any]:
        """Boxes and the scores of the classes, tensors (images, n, ...)."""
        boxes, raw = self._parts(outputs)
        return boxes, self._of_classes(layouts.torch_activation(self._activation)(raw))

    @cached_property
    def _network(self) -> Any:
        return self.torch_model()

    @property
    def _expected(self) -> str:
        classes = f" ({len(self.labels)} classes)" if self.labels else ""
        return f"layout `{self._options.layout}`, {LAYOUTS[self._options.layout].expected}{classes}"

    def _of_yolo(self, outputs: Outputs) -> tuple[Any, Any]:
        name = (self._options.outputs or {}).get("boxes")
        output = self.only(outputs, name, 3, self._expected)
        objectness = self._options.layout == "yolo-objectness"
        parts = layouts.split_yolo(output, objectness, len(self.labels))
        if parts is None:
            raise self.wrong(outputs, self._expected)
        return parts

    def _of_pair(self, outputs: Outputs) -> tuple[Any, Any]:
        boxes, scores = self._by_role(outputs, "boxes"), self._by_role(outputs, "scores")
        classes = len(self.labels) or scores.shape[-1]
        is_right = boxes.ndim == scores.ndim == 3 and boxes.shape[:2] == scores.shape[:2]
        extra = scores.shape[-1] - classes
        if not is_right or boxes.shape[2] != 4 or extra not in (0, 1):
            raise self.wrong(outputs, self._expected)
        return boxes, scores

    def _by_role(self, outputs: Outputs, role: str) -> Any:
        """The boxes or the scores: the output of that name, or of that shape."""
        named = (self._options.outputs or {}).get(role)
        if named is not None:
            return self.only(outputs, named, 3, self._expected)
        arrays = {name: array for name, array in outputs.items() if array.ndim == 3}
        boxes = [name for name, array in arrays.items() if array.shape[2] == 4]
        if len(boxes) > 1:  # of four classes: their names tell
            boxes = [name for name in boxes if "box" in name.lower()]
        wanted = boxes if role == "boxes" else [name for name in arrays if name not in boxes]
        if len(wanted) != 1:
            raise self.wrong(outputs, self._expected)
        return arrays[wanted[0]]

    def _of_lists(self, outputs: Outputs, size: Shape) -> Found:
        named = self._options.outputs or {}
        flat = {name: _without_first(np.asarray(array)) for name, array in outputs.items()}
        boxes = np.asarray(self.only(flat, named.get("boxes"), 2, self._expected))
        rest = {name: array for name, array in flat.items() if array.ndim == 1}
        whole = [name for name, array in rest.items() if array.dtype.kind in "iu"]
        labels = named.get("labels", whole[0] if len(whole) == 1 else "labels")
        scores = named.get("scores", next((n for n in rest if n not in whole), "scores"))
        if str(labels) not in flat or str(scores) not in flat:
            raise self.wrong(outputs, self._expected)
        classes = np.asarray(flat[str(labels)]).astype(np.int64) - self._options.first
        values = np.asarray(flat[str(scores)], np.float32)
        if boxes.shape[1:] != (4,) or not len(boxes) == len(classes) == len(values):
            raise self.wrong(outputs, self._expected)
        corners = layouts.corners_of(np.asarray(boxes, np.float32), self._form, self._unit, size)
        kept = (values >= self._options.least) & (classes >= 0)
        return corners[kept], values[kept], classes[kept]

    def _placed(self, found: Found, shape: Shape) -> Boxes:
        """The boxes in pixels of an image, the surest first; none without an area."""
        finite = np.isfinite(found[0]).all(axis=1) & np.isfinite(found[1])
        corners, scores, classes = layouts.suppressed(
            (found[0][finite], found[1][finite], found[2][finite]), self._overlap
        )
        top, left, height, width = self.preprocess.place(shape)
        start, end = np.array([left, top] * 2), np.array([shape[1], shape[0]] * 2)
        corners = (corners - start) * (end / np.array([width, height] * 2))
        corners = corners.clip(0, end)
        good = np.flatnonzero((corners[:, 2:] - corners[:, :2] > 1e-3).all(axis=1))
        good = good[: self._options.most]
        return Boxes(corners[good], classes[good], scores[good].clip(0, 1))


def _without_first(array: Any) -> Any:
    """Without a first axis of one image."""
    return array[0] if array.ndim > 1 and len(array) == 1 and array.shape[-1:] != (1, 4) else array
