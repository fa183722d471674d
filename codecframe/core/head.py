"""The head interface: a task's model behind the codec. A new head is one method, `predict`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import MismatchError, shown
from codecframe.core.image import Image, Shape
from codecframe.core.representation import PIXELS, Latents, Representation

Batch = Sequence[Image] | Sequence[Latents]
"""What a head is given: images, `uint8` (height, width, 3), or latents.

Examples:
    >>> batch: cf.Batch = [photo, photo[:32, :32]]  # images may differ in size
"""
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Top:
    """One entry of a ranking.

    Examples:
        >>> top = cf.Top(index=282, label="tiger cat", probability=0.4)
        >>> f"{top.label} {top.probability:.0%}"
        'tiger cat 40%'
    """

    index: int
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a head predicts for a batch.

    Attributes:
        scores: `float32`, (images, ...): for classification (images, classes) log-probabilities or
            logits, higher is likelier.
        labels: class names, one a column, or empty.
        sigmoid: whether each class has a probability by itself, the sigmoid of its score.

    Examples:
        >>> scores = np.log(np.float32([[0.7, 0.2, 0.1]]))
        >>> prediction = cf.Prediction(scores, labels=("cat", "dog", "fox"))
        >>> [top.label for top in prediction.top(2)[0]]
        ['cat', 'dog']
        >>> prediction.probabilities.round(2).tolist()[0][0] > 0.69
        True
    """

    scores: FloatArray
    labels: tuple[str, ...] = ()
    sigmoid: bool = False

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def probabilities(self) -> FloatArray:
        """Softmax of the scores, (images, classes).

        Where each class has a sigmoid, that is its probability if just one class is shown.
        """
        shifted = np.exp(self.scores - self.scores.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)

    def top(self, k: int = 1) -> list[list[Top]]:
        """The `k` likeliest classes of every image, likeliest first; ties by lower index.

        Where each class has a sigmoid, its probability is that, as the model says it.
        """
        probabilities = 1 / (1 + np.exp(-self.scores)) if self.sigmoid else self.probabilities
        order = np.argsort(-self.scores, axis=1, kind="stable")[:, :k]
        return [
            [Top(int(i), self.label(int(i)), float(row[i])) for i in ranking]
            for row, ranking in zip(probabilities, order, strict=True)
        ]

    def one(self, image: int) -> Prediction:
        """The prediction for one image of the batch."""
        return replace(self, scores=self.scores[image : image + 1])

    def label(self, index: int) -> str:
        """Name of a class, or its number where it has none."""
        return self.labels[index] if index < len(self.labels) else str(index)


def check_scores(scores: Any, images: int, source: str) -> FloatArray:
    """A model's output as `float32` scores, (images, classes).

    Raises:
        MismatchError: if it is of another shape, or not finite.
    """
    values = np.asarray(scores, dtype=np.float32)
    if values.ndim != 2 or len(values) != images or values.shape[1] == 0:
        raise MismatchError(
            f"head {source!r} gave scores of shape {values.shape} for {images} images: "
            "expected (images, classes)"
        )
    if not np.isfinite(values).all():
        raise MismatchError(f"head {source!r} gave scores that are not finite")
    return values


class TaskHead(ABC):
    """A task's model: takes one representation, gives predictions.

    The defaults of `score`, `loss`, `divergence` and `pseudo_targets` are those of classification;
    a head for another task overrides them, and profiles, selection, tuning and reports follow.

    Attributes:
        name: what users type.
        summary: one line for listings.
        accepts: the representation it takes.
        labels: class names, or empty.
        input_shape: (height, width) that images are brought to, or None if it takes any size.
        requires: import name of an optional package -> the pip requirement that installs it.

    Examples:
        >>> class Brightness(cf.TaskHead):
        ...     name = "brightness"
        ...
        ...     def predict(self, batch):
        ...         means = np.float32([image.mean() - 127.5 for image in batch])
        ...         return cf.Prediction(np.stack([-means, means], axis=1), ("dark", "bright"))
        >>> white = np.full((32, 32, 3), 255, np.uint8)
        >>> cf.Pipeline("webp", Brightness(), budget="100B").predict([white]).top()[0][0].label
        'bright'
    """

    name: str
    summary: str = ""
    accepts: Representation = PIXELS
    labels: tuple[str, ...] = ()
    input_shape: Shape | None = None
    requires: Mapping[str, str] = MappingProxyType({})
    metric: str = "top-1"
    """What `score` measures, as tables call it."""
    reference: str = ""
    """The head of pixels whose prediction of uncompressed images this one should agree with; empty
    for its own."""
    spec: str = ""
    """By what it was opened: a model file, an import path; empty: by its name."""

    @abstractmethod
    def predict(self, batch: Batch) -> Prediction:
        """Predict for a batch of images (sizes may differ) or latents, as `accepts` says."""

    def details(self) -> dict[str, Any]:
        """What `codecframe heads NAME` shows besides, as plain data: texts, numbers, lists, dicts.

        Default: nothing.
        """
        return {}

    def prepare(self, image: Image) -> Image:
        """The image at the geometry that the head looks at, before any codec; pixels stay `uint8`.

        A device that knows the classifier sends just this. By contract an image that is prepared
        already is returned as it is, so that `predict` can prepare whatever it is given.
        """
        return image

    def score(self, prediction: Prediction, targets: Sequence[Any]) -> npt.NDArray[np.float64]:
        """How right each prediction is, from 0 to 1, shape (images,). Default: top-1 hit.

        Raises:
            MismatchError: if a target is not a class of this head.
        """
        wanted = np.asarray(targets)
        classes = prediction.scores.shape[1]
        if wanted.dtype.kind not in "iu" or ((wanted < 0) | (wanted >= classes)).any():
            raise MismatchError(
                f"head {self.name!r} has classes 0 to {classes - 1}; the labels hold others"
            )
        return np.asarray(prediction.scores.argmax(axis=1) == wanted, dtype=np.float64)

    def ranks(self, prediction: Prediction, targets: Sequence[Any]) -> npt.NDArray[np.int64] | None:
        """How many classes each prediction prefers to the target, shape (images,): below k is a
        top-k hit. None where the task is not classification.
        """
        wanted = np.asarray(targets)
        if prediction.scores.ndim != 2 or wanted.dtype.kind not in "iu":
            return None
        of_target = np.take_along_axis(prediction.scores, wanted[:, None], axis=1)
        return np.asarray((prediction.scores > of_target).sum(axis=1))

    def loss(self, prediction: Prediction, targets: Sequence[Any]) -> npt.NDArray[np.float64]:
        """What to make small when tuning, 0 or more, shape (images,).

        Default: cross-entropy of the class probabilities, in nats.
        """
        chosen = prediction.probabilities[np.arange(len(prediction)), np.asarray(targets)]
        return np.asarray(-np.log(chosen.astype(np.float64) + 1e-12))

    def divergence(self, prediction: Prediction, reference: Prediction) -> npt.NDArray[np.float64]:
        """How far each prediction is from the reference, 0 or more, shape (images,).

        Default: Kullback-Leibler divergence from the reference's class probabilities, in nats.
        """
        p = reference.probabilities.astype(np.float64) + 1e-12
        q = prediction.probabilities.astype(np.float64) + 1e-12
        return np.asarray((p * np.log(p / q)).sum(axis=1).clip(min=0.0))

    def pixel_gradients(
        self, images: Sequence[Image], targets: FloatArray
    ) -> list[FloatArray] | None:
        """How the loss changes with pixels, for tuning; None where the head cannot say.

        Args:
            images: as `prepare` makes them.
            targets: probabilities of the classes, (images, classes).

        Returns:
            Derivatives of each image's cross-entropy against its targets, in nats for a step of one
            pixel value, `float32`, (height, width, 3). Default: None.
        """
        del images, targets
        return None

    def pseudo_targets(self, prediction: Prediction) -> list[Any]:
        """Targets read off the head's own prediction, for images without labels. Default: top-1."""
        return [int(index) for index in prediction.scores.argmax(axis=1)]

    def target_of(self, label: str) -> Any:
        """The target that a label text means: a class index or a class name.

        Raises:
            MismatchError: if the head has no such class.
        """
        if label.isdecimal():
            return int(label)
        try:
            return self.labels.index(label)
        except ValueError:
            raise MismatchError(f"head {self.name!r} has no class {shown(label)}") from None
