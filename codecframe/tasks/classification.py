"""What all heads around a classifier share: everything but running the model.

A subclass has one method, `run`, from an array to scores:

    class MyHead(codecframe.ClassifierHead):
        def run(self, values):
            return self._model(values)

    head = MyHead("mine", preprocess={"resize": 256, "crop": 224}, labels=("cat", "dog"))
"""

from __future__ import annotations

import copy
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from codecframe.core.classification import FloatArray, Prediction, check_scores
from codecframe.core.errors import CodecframeError, DataError, MismatchError, SettingsError
from codecframe.core.files import read_lines
from codecframe.core.head import Batch, TaskHead
from codecframe.core.image import Image, check_image
from codecframe.core.parallel import chunks, map_threads
from codecframe.core.preprocess import Preprocess
from codecframe.core.settings import Settings, option
from codecframe.tasks import outputs as output_kinds

_DESCRIBED = "as described"
_DERIVED = 1 << 19
"""Pixels of the images whose derivatives are taken at a time: what all layers of a network gave is
held for them, some kilobytes a pixel."""


@dataclass(frozen=True)
class HeadOptions(Settings):
    """What a head description file may say besides `model`; `codecframe_open_head` gets it.

    Examples:
        >>> cf.HeadOptions.read({"labels": ["cat", "dog"], "outputs": "logits"}).labels
        ('cat', 'dog')
    """

    KEY: ClassVar[str] = "codecframe"
    """Under this name a model file may hold a description of itself, as `text` gives it."""

    name: str | None = option(None, low=1, help="what the head is called; none: the opener chooses")
    labels: tuple[str, ...] = option((), help="class names, one an output")
    preprocess: dict[str, Any] | None = option(None, help="fields of `Preprocess`")
    outputs: str | None = option(
        None, choices=output_kinds.KINDS, help="none: what the model shows of itself"
    )
    output: str | int | None = option(
        None, help="name or number of the output with the scores, where a model has several"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        Preprocess.of(self.preprocess)

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> HeadOptions:
        """Check options that came as plain data; numbers may be names of classes.

        Raises:
            SettingsError: for an unknown option, or a value that an option does not take.
        """
        labels = options.get("labels")
        if isinstance(labels, (list, tuple)):
            options = {**options, "labels": tuple(map(str, labels))}
        elif labels is None:
            options = {key: value for key, value in options.items() if key != "labels"}
        return cls.from_dict(options)

    @property
    def text(self) -> str:
        """These options as JSON, for a model file; the file's own name goes before `name`."""
        said = {key: value for key, value in self.changed().items() if key != "name"}
        return json.dumps(said)

    def completed(self, text: str | None, source: str) -> HeadOptions:
        """With what a model file says of itself where these options say nothing.

        Args:
            text: what the file holds under `KEY`, if anything.
            source: the file.

        Raises:
            DataError: if that is not what `text` gives.
        """
        if not text:
            return self
        try:
            inside = HeadOptions.read(json.loads(text))
        except (ValueError, TypeError, AttributeError, SettingsError) as error:
            raise DataError(source, f"its description cannot be read: {error}") from None
        return HeadOptions.read({**inside.changed(), **self.changed()})


class ClassifierHead(TaskHead):
    """A classifier of images whose model takes one array for a batch.

    Args:
        name: what users type, or see in tables.
        preprocess: from images to the model's input.
        labels: class names, one an output, or none; a path is a file with one a line.
        outputs: what the model gives, (images, classes): `logits`; `probabilities` that sum to 1
            (it ends in a softmax); `log-probabilities`; `sigmoid`, a probability for each class by
            itself. None: what `learn_outputs` was told, else probabilities where every row is 0 or
            more and sums to 1, and logits otherwise. A model that gives one number an image tells
            two classes apart, and needs this to be said or read.
        output: which output has the scores, where `run` gives several.
        batch_size: images that the model takes at a time, at most.
        pad: whether the model takes exactly `batch_size`; the last batch is then filled up.
        concurrent: whether `run` keeps one core busy and may be called by a thread for each.

    Raises:
        SettingsError: for other outputs.
        DataError: if the file with the labels cannot be read.

    Examples:
        >>> class Colour(cf.ClassifierHead):
        ...     def run(self, values):  # (images, 3, height, width)
        ...         return values.mean(axis=(2, 3))
        >>> head = Colour("colour", labels=("red", "green", "blue"), outputs="logits")
        >>> red = np.zeros((32, 32, 3), np.uint8) + np.uint8([200, 0, 0])
        >>> head.predict([red]).top()[0][0].label
        'red'
    """

    def __init__(
        self,
        name: str,
        *,
        preprocess: Preprocess | Mapping[str, Any] | None = None,
        labels: Sequence[str] | str | Path = (),
        outputs: str | None = None,
        output: str | int | None = None,
        batch_size: int = 32,
        pad: bool = False,
        concurrent: bool = False,
    ) -> None:
        self.name = name
        self.preprocess = Preprocess.of(preprocess)
        self.labels = class_names(labels)
        self.input_shape = self.preprocess.prepared_shape
        self._kind = output_kinds.checked_kind(outputs)
        self._kind_source = "" if outputs is None else _DESCRIBED
        self._output = None if output is None else str(output)
        self._one_column = False
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
            Array of (images, classes), higher is likelier; or several, by name or number.
        """

    def torch_model(self) -> Callable[[Any], Any] | None:
        """The model as something that torch can differentiate, from a tensor of what `model_input`
        made to scores; None where torch cannot, the default.
        """
        return None

    def log_probabilities(self, scores: Any) -> Any:
        """Logarithms of the classes' probabilities, for scores of `torch_model`, be they picked or
        not; both are tensors, (images, classes).
        """
        if output_kinds.by_name(scores) is not None:
            scores = self.pick(scores)
        return output_kinds.log_probabilities(scores, self.outputs)

    def options(self) -> HeadOptions:
        """What a head description file would say of it."""
        return HeadOptions(
            self.name, self.labels, self.preprocess.changed(), self.outputs, self._output
        )

    def with_preprocess(self, preprocess: Preprocess | Mapping[str, Any]) -> Self:
        """The same model behind another preprocessing."""
        made = copy.copy(self)
        made.preprocess = Preprocess.of(preprocess)
        made.input_shape = made.preprocess.prepared_shape
        return made

    # -- what the model's output means ----------------------------------------------------

    @property
    def outputs(self) -> str:
        """What the model gives: `logits`, `probabilities`, `log-probabilities` or `sigmoid`.

        Where nothing says so, the model is run on grey images.
        """
        if self._kind is None:
            with suppress(CodecframeError):  # it may not take images of that size
                self._scores(self._greys(64, 128, 192))
        return self._kind or "logits"

    @property
    def outputs_unsaid(self) -> bool:
        """Whether nothing has said yet what the model gives."""
        return self._kind is None

    def learn_outputs(self, kind: str | None, source: str) -> None:
        """Take note of what a model shows of its output.

        Args:
            kind: as `outputs`; None if it shows nothing.
            source: how it shows that, e.g. `the graph ends in Softmax`.

        Raises:
            MismatchError: if something else was described.
        """
        if kind is None:
            return
        same = {kind, None} | ({"probabilities"} if kind == "sigmoid" else set())
        if self._kind not in same:
            raise MismatchError(
                f"head {self.name!r} is described with `outputs: {self._kind}`, but {source}, "
                f"which gives {kind}"
            )
        self._kind, self._kind_source = kind, source

    def choose_output(self, shapes: Mapping[str, Sequence[Any]]) -> str:
        """The name of the output with the scores: the one described, or the only possible one.

        Args:
            shapes: shape of each output by its name; sizes that are not known are None or text.

        Raises:
            MismatchError: if no output has that name, or it is not clear which is meant.
        """
        return output_kinds.choose(shapes, self._output, len(self.labels), self.name)

    def pick(self, found: Any) -> Any:
        """The output with the scores, of what the model gave: that itself, or one of several.

        Raises:
            MismatchError: as `choose_output`.
        """
        several = output_kinds.by_name(found)
        if several is not None:
            shapes = {name: tuple(one.shape) for name, one in several.items()}
            return several[self.choose_output(shapes)]
        if self._output is not None:
            raise MismatchError(
                f"head {self.name!r} is described with `output: {self._output}`, "
                "but the model gives one array without a name"
            )
        return found

    def check_one_column(self, shape: Sequence[Any]) -> None:
        """Refuse a model with one number an image where it is not said what that is.

        Raises:
            MismatchError: if nothing says so, or there is not a label for each of the two classes.
        """
        if self._kind == "probabilities" and self._kind_source != _DESCRIBED:
            raise MismatchError(
                f"head {self.name!r}: a softmax of one number is always 1, so nothing is classified"
            )
        if self._kind is None:
            raise MismatchError(
                f"head {self.name!r} gives one number an image (scores of shape "
                f"{output_kinds.shape_text(shape)}), and nothing says what it is. If it tells two "
                "classes apart, describe it: `outputs: logits` where above 0 means the second, "
                "`outputs: probabilities` where above 0.5 does, and two `labels`"
            )
        if len(self.labels) not in {0, 2}:
            raise MismatchError(
                f"head {self.name!r} gives one number an image, which tells two classes apart, "
                f"but has {len(self.labels)} labels: name both, the second for high values"
            )
        self._one_column = True

    def details(self) -> dict[str, Any]:
        """See `TaskHead.details`: preprocessing, what the output means, and what was assumed."""
        classes = None
        with suppress(CodecframeError):  # it may not take images of the size that is tried
            classes = int(self._scores(self._greys(128)).shape[1])
        source = self._kind_source or "nothing says so"
        meaning = f"{self.outputs} ({source})"
        if self._one_column:
            meaning += f": two classes, the second above {0 if self.outputs == 'logits' else 0.5}"
        return {
            "classes": classes,
            "preprocess": self.preprocess.to_dict(),
            "scores": meaning,
            "assumed": self.assumptions(),
        }

    def assumptions(self) -> list[str]:
        """What neither a description nor the model says, a sentence each."""
        found = []
        if self.outputs == "logits" and not self._kind_source:
            found.append("outputs are logits: softmax makes probabilities of them")
        if self.outputs == "sigmoid" and not self._one_column:
            found.append("an image shows one class, the likeliest, though each has a sigmoid")
        if self.preprocess.dtype == "float32" and not {"mean", "std", "scale"} & {
            *self.preprocess.changed()
        }:
            found.append("pixels are scaled to 0..1, without mean and std")
        if not self.labels:
            found.append("classes have no names: they are shown by number")
        return found

    def _greys(self, *levels: int) -> list[Image]:
        """Images of one colour each, of a size that the model should take."""
        height, width = self.input_shape or (64, 64)
        return [np.full((height, width, 3), level, np.uint8) for level in levels]

    def model_input(self, images: list[Image]) -> Any:
        """What `run` is given for images of one size."""
        return self.preprocess.batch(images)

    @cached_property
    def classes(self) -> int:
        """How many classes there are: as many as labels, else as the model gives."""
        if self.labels:
            return len(self.labels)
        return int(self._scores(self._greys(128)).shape[1])

    def prepare(self, image: Image) -> Image:
        """Resize and crop as `preprocess` says."""
        return self.preprocess.geometry(image)

    def predict(self, batch: Batch) -> Prediction:
        """Scores (images, classes) of images of any sizes: logits or log-probabilities.

        Raises:
            DataError: if an item is not an image.
            MismatchError: if the model does not take images of that size, or gives other
                scores.
        """
        images = [self.prepare(check_image(image)) for image in batch]
        if not images:
            return self._prediction(np.empty((0, self.classes), np.float32))
        work = _of_one_size(images, self._batch_size)
        parts = map_threads(self._scores, work) if self._concurrent else map(self._scores, work)
        return self._prediction(np.concatenate(list(parts)))

    def _prediction(self, scores: FloatArray) -> Prediction:
        by_itself = self._kind == "sigmoid" and not self._one_column
        return Prediction(scores, self.labels, sigmoid=by_itself)

    def pixel_gradients(
        self, images: Sequence[Image], targets: FloatArray | None
    ) -> list[FloatArray] | None:
        """See `TaskHead.pixel_gradients`: by `torch_model`."""
        model = self.torch_model()
        if model is None or targets is None:
            return None
        found: list[FloatArray] = []
        largest = max(image.shape[0] * image.shape[1] for image in images)
        most = min(self._batch_size, max(1, _DERIVED // largest))
        for part in _of_one_size(list(images), self._batch_size if self._pad else most):
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
            found = self.run(self.model_input(filled))
            if output_kinds.by_name(found) is not None:
                found = self.pick(found)
            scores = np.asarray(found, np.float32)
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
        if scores.size == count and scores.shape[1:] in {(), (1,)}:
            self.check_one_column(scores.shape)
            scores = scores.reshape(count, 1)
        scores = check_scores(scores, count, self.name)
        if self._kind is None:
            self._settle(scores)
        scores = output_kinds.to_scores(scores, self.outputs, self.name)
        if self.labels and scores.shape[1] != len(self.labels):
            raise MismatchError(
                f"head {self.name!r} has {len(self.labels)} labels, "
                f"but the model gives {scores.shape[1]} classes"
            )
        return scores

    def _settle(self, scores: FloatArray) -> None:
        """See once what kind of output it is, where nothing says so."""
        if output_kinds.are_distributions(scores):
            self._kind, self._kind_source = "probabilities", "its values are 0 or more and sum to 1"
        else:
            self._kind = "logits"


def class_names(labels: Sequence[str] | str | Path) -> tuple[str, ...]:
    """Class names: as they are, or the lines of a file where `labels` is a path.

    Raises:
        DataError: if the file cannot be read, or is not UTF-8 text.
    """
    return tuple(read_lines(labels) if isinstance(labels, (str, Path)) else labels)


def _of_one_size(images: list[Image], most: int) -> Iterator[list[Image]]:
    """Consecutive images of the same size, at most so many at a time."""
    for _, run in groupby(images, lambda image: image.shape):
        yield from chunks(run, most)
