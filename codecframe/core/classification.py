"""Classification, the task of heads that say no other: one class an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import DataError, MismatchError, shown
from codecframe.core.task import Task, TaskPrediction, Values

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
class Prediction(TaskPrediction):
    """What a classifier predicts for a batch.

    Attributes:
        scores: `float32`, (images, classes): log-probabilities or logits, higher is likelier.
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

    def take(self, images: Sequence[int]) -> Self:
        """The prediction for some images of the batch, by their positions."""
        return replace(self, scores=self.scores[list(images)])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One prediction of several, one at least, in their order."""
        return replace(parts[0], scores=np.concatenate([part.scores for part in parts]))

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


class Classification(Task):
    """One class an image, the likeliest; a target is its index."""

    name = "classification"
    summary = "one class an image"
    metric = "top-1"

    def score(self, prediction: Prediction, targets: Sequence[Any]) -> Values:
        """1 for a top-1 hit, else 0."""
        return np.asarray(
            prediction.scores.argmax(axis=1) == checked_classes(prediction, targets), np.float64
        )

    def loss(self, prediction: Prediction, targets: Sequence[Any]) -> Values:
        """Cross-entropy of the class probabilities, in nats."""
        chosen = prediction.probabilities[np.arange(len(prediction)), np.asarray(targets)]
        return np.asarray(-np.log(chosen.astype(np.float64) + 1e-12))

    def divergence(self, prediction: Prediction, reference: Prediction) -> Values:
        """Kullback-Leibler divergence from the reference's class probabilities, in nats."""
        p = reference.probabilities.astype(np.float64) + 1e-12
        q = prediction.probabilities.astype(np.float64) + 1e-12
        return np.asarray((p * np.log(p / q)).sum(axis=1).clip(min=0.0))

    def pseudo_targets(self, prediction: Prediction) -> list[Any]:
        """The likeliest classes."""
        return [int(index) for index in prediction.scores.argmax(axis=1)]

    def confidence(self, prediction: Prediction) -> Values:
        """The probability of the likeliest class."""
        return np.array([one.probability for (one,) in prediction.top(1)], np.float64)

    def to_json(self, prediction: Prediction) -> list[dict[str, Any]]:
        """`label`, `probability` and `index` of the likeliest class."""
        return [
            {"label": top.label, "probability": top.probability, "index": top.index}
            for (top,) in prediction.top(1)
        ]

    def words(self, said: Mapping[str, Any]) -> str:
        """`tabby 62 %`."""
        label, probability = said.get("label"), said.get("probability")
        if not isinstance(label, str) or not isinstance(probability, (int, float)):
            raise DataError(self.name, f"is not what a classifier says: {shown(said)}")
        return f"{label} {100 * probability:.0f} %"


CLASSIFICATION = Classification()


def checked_classes(prediction: Prediction, targets: Sequence[Any]) -> npt.NDArray[np.int64]:
    """Targets as class indices, (images,).

    Raises:
        MismatchError: if one is not a class of the prediction.
    """
    wanted = np.asarray(targets)
    classes = prediction.scores.shape[1]
    if wanted.dtype.kind not in "iu" or ((wanted < 0) | (wanted >= classes)).any():
        raise MismatchError(f"the head has classes 0 to {classes - 1}; the labels hold others")
    return np.asarray(wanted, np.int64)
