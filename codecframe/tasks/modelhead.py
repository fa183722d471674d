"""What heads of models of any task share: images become the model's input, a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np

from codecframe.core.errors import CodecframeError, MismatchError, SettingsError
from codecframe.core.files import read_lines
from codecframe.core.head import Batch, TaskHead
from codecframe.core.image import Image, Shape, check_image
from codecframe.core.parallel import chunks
from codecframe.core.preprocess import Preprocess
from codecframe.core.settings import Settings, option
from codecframe.core.task import Model

Outputs = Mapping[str, Any]
"""Arrays of a model by the names of its outputs."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Settings):
    """What a head description file says besides `model` and `task`, whatever the task."""

    name: str | None = option(None, low=1, help="what the head is called; none: the file's name")
    labels: tuple[str, ...] = option((), help="class names")
    preprocess: dict[str, Any] | None = option(None, help="fields of `Preprocess`")

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Self:
        """Check options that came as plain data; labels may be a file with one a line.

        Raises:
            SettingsError: for an unknown option, or a value that an option does not take.
            DataError: if the file with the labels cannot be read.
        """
        given = {key: value for key, value in options.items() if value is not None}
        labels = given.get("labels")
        if isinstance(labels, (str, Path)):
            labels = read_lines(labels)
        if isinstance(labels, (list, tuple)):
            given["labels"] = [str(label) for label in labels]
        return cls.from_dict(given)


Said = TypeVar("Said", bound=ModelOptions)


class ModelHead(TaskHead, Generic[Said]):
    """A model as a head of a task other than classification; `Task.head` makes it.

    A subclass has `options_type`, which reads what is said of it; `of_outputs`, which makes a
    prediction of the model's outputs; and `residuals`, where codecs can be learned for it.

    Args:
        model: runs.
        options: what is said of it.

    Examples:
        >>> isinstance(cf.get_head("photo_heads:brightness"), cf.ModelHead)
        False
    """

    options_type: type[Said]
    whole: bool = False
    """Whether predictions have places in images, so that nothing may be cut off."""

    def __init__(self, model: Model, options: Said) -> None:
        self.name = options.name or model.name
        self.spec = model.spec
        self.labels = options.labels
        self.requires = self.task.requires
        self.preprocess: Preprocess = model.preprocess(options.preprocess)
        self.input_shape = self.preprocess.prepared_shape
        if self.whole and self.preprocess.crop is not None:
            raise SettingsError(
                "crop", self.preprocess.crop, f"none: {self.task.name} has places in images"
            )
        self._model = model
        self._options = options

    @classmethod
    def of(cls, model: Model, options: Mapping[str, Any]) -> Self:
        """Of plain data."""
        return cls(model, cls.options_type.read(options))

    def prepare(self, image: Image) -> Image:
        """Resize and crop as `preprocess` says; what is letterboxed is not filled up yet."""
        return self.preprocess.geometry(image)

    def details(self) -> dict[str, Any]:
        """See `TaskHead.details`."""
        said = {k: v for k, v in self._options.changed().items() if k not in ("labels", "name")}
        return {
            **self._model.details(),
            "task": self.task.name,
            **said,
            "preprocess": self.preprocess.to_dict(),
        }

    def described(self) -> dict[str, Any]:
        """What a description file would say of it besides the model, its task and its labels."""
        said = {k: v for k, v in self._options.changed().items() if k != "labels"}
        return said | {"preprocess": self.preprocess.changed()}

    def torch_model(self) -> Any:
        """The model as something that torch can differentiate, from a tensor of what
        `preprocess.batch` makes to its outputs by name; None where torch cannot follow it.
        """
        return self._model.torch_model()

    def residuals(self, outputs: Outputs, reference: Outputs) -> Any:
        """How far outputs are from others in what the task minds, so that half the sum of their
        squares is the loss, as Gauss and Newton have it.

        Args:
            outputs: of `torch_model`.
            reference: others, for the same images: what is minded is read off them.

        Returns:
            A tensor (images, ...), with gradients for `outputs`; None where the task has no such
            measure, the default.
        """
        del outputs, reference
        return None

    def predict(self, batch: Batch) -> Any:
        """The task's prediction for images of any sizes.

        Raises:
            DataError: if an item is not an image.
            MismatchError: if the model does not take images of that size, or its outputs are not
                what was said.
        """
        images = [check_image(image) for image in batch]
        place, final = self.preprocess.place, self.preprocess.final_shape
        runs = groupby(images, lambda image: final or place(image.shape[:2])[2:])  # of one input
        parts = [self._of(some) for _, run in runs for some in chunks(run, self._model.batch_size)]
        return type(parts[0]).joined(parts) if parts else self._of_none()

    def _of(self, images: list[Image]) -> Any:
        """The prediction for images that the model takes at once."""
        values = self.preprocess.batch([self.preprocess.geometry(image) for image in images])
        if self._model.pad and len(values) < self._model.batch_size:
            last = np.repeat(values[-1:], self._model.batch_size - len(values), axis=0)
            values = np.concatenate([values, last])
        try:
            outputs = self._model.run(values)
        except CodecframeError:
            raise
        except Exception as error:  # each kind of model has errors of its own
            raise MismatchError(
                f"head {self.name!r} failed on an input of {values.shape}: "
                f"{type(error).__name__}: {error}"
            ) from error
        shapes = [image.shape[:2] for image in images]
        height, width = values.shape[2:] if self.preprocess.layout == "nchw" else values.shape[1:3]
        return self.of_outputs(outputs, shapes, (len(values), int(height), int(width)))

    def _of_none(self) -> Any:
        """The prediction for no images: of a grey one, without it."""
        grey = np.full((*(self.preprocess.final_shape or (64, 64)), 3), 128, np.uint8)
        return self._of([grey]).take([])

    def of_outputs(
        self, outputs: Outputs, shapes: Sequence[Shape], given: tuple[int, int, int]
    ) -> Any:
        """The prediction, of the model's outputs.

        Args:
            outputs: by name; of all images that the model was given, those that fill up, too.
            shapes: (height, width) of the images.
            given: (images, height, width) of the model's input.

        Raises:
            MismatchError: if the outputs are not what was said.
        """
        raise NotImplementedError

    def wrong(self, outputs: Outputs, expected: str) -> MismatchError:
        """What to raise where outputs are not what was said: names their shapes."""
        listed = ", ".join(f"{name} {tuple(array.shape)}" for name, array in outputs.items())
        return MismatchError(f"head {self.name!r}: expected {expected}; the model gives {listed}")

    def only(self, outputs: Outputs, name: str | int | None, axes: int, expected: str) -> Any:
        """The output of that name; without one, the only that has so many axes.

        Raises:
            MismatchError: if there is none, or several.
        """
        if name is not None and str(name) in outputs:
            return outputs[str(name)]
        found = [array for array in outputs.values() if array.ndim == axes]
        if name is not None or len(found) != 1:
            said = f"an output {str(name)!r}" if name is not None else expected
            raise self.wrong(outputs, said)
        return found[0]
