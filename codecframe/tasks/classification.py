"""What heads around a classifier of any kind share: all but running the model.

A subclass has one method, `run`, from an array to scores:

    class MyHead(codecframe.ClassifierHead):
        def run(self, values):
            return self._model(values)

    head = MyHead("mine", preprocess={"resize": 256, "crop": 224}, labels=("cat", "dog"))
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from codecframe.core.errors import CodecframeError, MismatchError, SettingsError, UnknownNameError
from codecframe.core.head import Batch, FloatArray, Prediction, TaskHead, check_scores
from codecframe.core.image import Image, check_image
from codecframe.core.parallel import map_threads
from codecframe.core.preprocess import Preprocess

OUTPUTS = ("logits", "probabilities")
"""What a model gives; logarithms of probabilities are logits as well."""


@dataclass(frozen=True)
class HeadOptions:
    """What a head description file may say besides `model`; `codecframe_open_head` gets it.

    Attributes:
        name: what the head is called; None for the opener to choose.
        labels: class names, one an output.
        preprocess: fields of `Preprocess`; None where nothing is said.
        outputs: `logits` or `probabilities`.
    """

    name: str | None = None
    labels: tuple[str, ...] = ()
    preprocess: Mapping[str, Any] | None = None
    outputs: str = "logits"

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> HeadOptions:
        """Check options that came as plain data.

        Raises:
            UnknownNameError: for an option that does not exist.
            SettingsError: for a value that an option does not take.
        """
        for key in options:
            if key not in cls.__dataclass_fields__:
                raise UnknownNameError("head option", str(key), cls.__dataclass_fields__)
        name, labels = options.get("name"), options.get("labels") or ()
        if name is not None and not (isinstance(name, str) and name):
            raise SettingsError("name", name, "text")
        if isinstance(labels, str) or not isinstance(labels, Sequence):
            raise SettingsError("labels", labels, "a list of class names")
        preprocess = options.get("preprocess")
        if preprocess is not None and not isinstance(preprocess, Mapping):
            raise SettingsError("preprocess", preprocess, "fields such as resize and mean")
        Preprocess.of(preprocess)
        outputs = _checked_outputs(options.get("outputs", "logits"))
        return cls(name, tuple(str(label) for label in labels), preprocess, outputs)


class ClassifierHead(TaskHead):
    """A classifier of images whose model takes one array for a batch.

    Args:
        name: what users type, or see in tables.
        preprocess: from images to the model's input.
        labels: class names, one an output, or none.
        outputs: `logits`, or `probabilities` where the model ends in a softmax.
        batch_size: images that the model takes at a time, at most.
        pad: whether the model takes exactly `batch_size`; the last batch is then filled up.
        concurrent: whether `run` keeps one core busy and may be called by a thread for each.
    """

    def __init__(
        self,
        name: str,
        *,
        preprocess: Preprocess | Mapping[str, Any] | None = None,
        labels: Sequence[str] = (),
        outputs: str = "logits",
        batch_size: int = 32,
        pad: bool = False,
        concurrent: bool = False,
    ) -> None:
        self.name = name
        self.preprocess = Preprocess.of(preprocess)
        self.labels = tuple(labels)
        self.input_shape = self.preprocess.final_shape
        self._outputs = _checked_outputs(outputs)
        self._batch_size = batch_size
        self._pad = pad
        self._concurrent = concurrent

    @abstractmethod
    def run(self, values: Any) -> Any:
        """Run the model.

        Args:
            values: what `model_input` made: `preprocess.dtype`, (images, 3, height, width), or
                with channels last.

        Returns:
            Array of (images, classes), higher is likelier.
        """

    def torch_model(self) -> Callable[[Any], Any] | None:
        """The model as something that torch can differentiate, from a tensor of what `model_input`
        made to scores; None where it is none, as by default.
        """
        return None

    def log_probabilities(self, scores: Any) -> Any:
        """Logarithms of the classes' probabilities, for scores of `torch_model`; both are tensors,
        (images, classes).
        """
        logits = scores.flatten(1)
        if self._outputs == "probabilities":
            logits = logits.clamp_min(1e-12).log()
        return logits.log_softmax(1)

    def options(self) -> HeadOptions:
        """What a head description file would say of it."""
        return HeadOptions(self.name, self.labels, self.preprocess.changed(), self._outputs)

    def model_input(self, images: list[Image]) -> Any:
        """What `run` is given for images of one size."""
        return self.preprocess.batch(images)

    @cached_property
    def classes(self) -> int:
        """How many classes there are: as many as labels, else as the model gives."""
        if self.labels:
            return len(self.labels)
        height, width = self.input_shape or (64, 64)
        return int(self._scores([np.full((height, width, 3), 128, np.uint8)]).shape[1])

    def prepare(self, image: Image) -> Image:
        """Resize and crop as `preprocess` says."""
        return self.preprocess.geometry(image)

    def predict(self, batch: Batch) -> Prediction:
        """Scores (images, classes) of images of any sizes: logits or log-probabilities.

        Raises:
            DataError: if an item is no image.
            MismatchError: if the model does not take images of that size, or gives no such scores.
        """
        images = [self.prepare(check_image(image)) for image in batch]
        if not images:
            return Prediction(np.empty((0, self.classes), np.float32), self.labels)
        work = _of_one_size(images, self._batch_size)
        parts = map_threads(self._scores, work) if self._concurrent else map(self._scores, work)
        return Prediction(np.concatenate(list(parts)), self.labels)

    def pixel_gradients(
        self, images: Sequence[Image], targets: FloatArray
    ) -> list[FloatArray] | None:
        """See `TaskHead.pixel_gradients`: by `torch_model`."""
        model = self.torch_model()
        if model is None:
            return None
        found: list[FloatArray] = []
        for part in _of_one_size(list(images), self._batch_size):
            wanted = targets[len(found) : len(found) + len(part)]
            gradients = self._input_gradients(model, self.model_input(part), wanted)
            found += list(self.preprocess.pixel_gradients(gradients))
        return found

    def _input_gradients(
        self, model: Callable[[Any], Any], values: Any, targets: FloatArray
    ) -> FloatArray:
        """Derivatives of the cross-entropy of each image with respect to the model's input."""
        import torch  # the model is torch's

        tensor = torch.from_numpy(values).float().requires_grad_()
        with torch.enable_grad():
            logs = self.log_probabilities(model(tensor))
            loss = -(torch.from_numpy(targets).to(logs) * logs).sum()
            (gradients,) = torch.autograd.grad(loss, tensor)
        return np.asarray(gradients.cpu().numpy(), np.float32)

    def _scores(self, images: list[Image]) -> FloatArray:
        filled = images
        if self._pad:
            filled = images + images[-1:] * (self._batch_size - len(images))
        try:
            scores = np.asarray(self.run(self.model_input(filled)), np.float32)
        except CodecframeError:
            raise
        except Exception as error:  # each kind of model has errors of its own
            height, width = images[0].shape[:2]
            raise MismatchError(
                f"head {self.name!r} failed on {len(filled)} images of {width}x{height}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return self._checked(scores, len(filled))[: len(images)]

    def _checked(self, scores: FloatArray, count: int) -> FloatArray:
        """Scores as `Prediction` wants them, or what is wrong with them."""
        if scores.ndim > 2 and scores.size == count * scores.shape[1]:
            scores = scores.reshape(count, -1)  # a pooled map: (images, classes, 1, 1)
        scores = check_scores(scores, count, self.name)
        if self.labels and scores.shape[1] != len(self.labels):
            raise MismatchError(
                f"head {self.name!r} has {len(self.labels)} labels, "
                f"but the model gives {scores.shape[1]} classes"
            )
        if self._outputs == "probabilities":
            return np.log(np.maximum(scores, np.float32(1e-12)))
        return scores


def _of_one_size(images: list[Image], most: int) -> Iterator[list[Image]]:
    """Consecutive images of the same size, at most so many at a time."""
    run: list[Image] = []
    for image in images:
        if run and (len(run) == most or image.shape != run[0].shape):
            yield run
            run = []
        run.append(image)
    yield run


def _checked_outputs(value: object) -> str:
    if value not in OUTPUTS:
        raise SettingsError("outputs", value, f"one of {', '.join(OUTPUTS)}")
    return str(value)
