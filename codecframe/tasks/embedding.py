"""Embeddings: a vector an image, so that images that show the same lie near each other."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import DataError, MismatchError, shown
from codecframe.core.image import Shape
from codecframe.core.task import Classes, Model, Task, TaskPrediction, Values

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Embeddings(TaskPrediction):
    """A vector for each image of a batch.

    Attributes:
        vectors: `float32`, (images, dimensions), as the model gives them.

    Examples:
        >>> seen = cf.Embeddings(np.float32([[3, 4], [0, 2]]))
        >>> seen.directions.round(1).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 1.0]]
    """

    vectors: FloatArray

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, images: Sequence[int]) -> Self:
        """See `TaskPrediction`."""
        return replace(self, vectors=self.vectors[list(images)])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """See `TaskPrediction`."""
        return replace(parts[0], vectors=np.concatenate([part.vectors for part in parts]))

    @property
    def directions(self) -> FloatArray:
        """The vectors, of length 1."""
        lengths = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        return np.asarray(self.vectors / np.maximum(lengths, 1e-12), np.float32)


class Embedding(Task):
    """A vector an image, compared by cosine.

    A target is a label, an index or a text, that images of the same thing have in common; or a
    vector. Sets with labels are scored by retrieval: whether the nearest of all other images, all
    through the same codec, has the same label. Image by image there is no such score: agreement is
    the cosine with the vector of the uncompressed image.
    """

    name = "embedding"
    summary = "a vector an image"
    metric = "retrieval@1"
    has_records = True
    image_metric = "cosine"

    def score(self, prediction: Embeddings, targets: Sequence[Any]) -> Values:
        """Cosine with the target vector, 0 if negative; NaN for a label."""
        rows = zip(prediction.directions, targets, strict=True)
        return np.array([_cosine(row, target) for row, target in rows], np.float64).clip(0, 1)

    def divergence(self, prediction: Embeddings, reference: Embeddings) -> Values:
        """1 less the cosine."""
        cosines = (prediction.directions * reference.directions).sum(axis=1, dtype=np.float64)
        return np.asarray((1 - cosines).clip(min=0))

    def loss(self, prediction: Embeddings, targets: Sequence[Any]) -> Values:
        """1 less the cosine with the target vector.

        Raises:
            MismatchError: for labels: tune on images without them.
        """
        if not all(isinstance(target, np.ndarray) for target in targets):
            raise MismatchError(
                "a label says nothing of one image's vector by itself: leave the labels out"
            )
        return 1 - self.score(prediction, targets)

    def pseudo_targets(self, prediction: Embeddings) -> list[Any]:
        """The vectors themselves."""
        return list(prediction.directions)

    # -- over a set -----------------------------------------------------------------------

    def records(self, prediction: Embeddings, targets: Sequence[Any]) -> list[Any]:
        """`label`, and `vector`: its direction as base64 of little-endian `float16`."""
        rows = prediction.directions.astype("<f2")
        return [
            {"label": target, "vector": base64.b64encode(row.tobytes()).decode()}
            for row, target in zip(rows, targets, strict=True)
        ]

    def missed(self, targets: Sequence[Any]) -> list[Any]:
        """No vector, which is nearest to none."""
        return [{"label": target, "vector": ""} for target in targets]

    def set_scores(self, records: Sequence[Any], weights: Values) -> Values:
        """Of the images whose label others have, too, the share whose nearest neighbour has it.

        Neighbours are looked for among all images, whatever their weights.
        """
        vectors, labels = _of_records(records)
        _, kinds, counts = np.unique(labels, return_inverse=True, return_counts=True)
        usable = counts[kinds] > 1
        hits = kinds[_nearest(vectors)] == kinds
        hits &= vectors.any(axis=1)
        return np.asarray(
            (weights @ (hits & usable)) / np.maximum(weights @ usable.astype(np.float64), 1)
        )

    # -- truth, and for people ------------------------------------------------------------

    def target(self, truth: Any, head: Classes, shape: Shape, new: Shape) -> Any:
        """A label as it is: what images show need not be a class of the head."""
        return _checked(truth)

    def target_to_json(self, target: Any) -> Any:
        """A label as it is."""
        return None if isinstance(target, np.ndarray) else target

    def to_json(self, prediction: Embeddings) -> list[dict[str, Any]]:
        """`embedding`: the vector as a list."""
        rows = prediction.vectors.astype(np.float64).tolist()
        return [{"embedding": [float(f"{value:.5g}") for value in row]} for row in rows]

    def words(self, said: Mapping[str, Any]) -> str:
        """How many dimensions."""
        vector = said.get("embedding")
        if not isinstance(vector, list):
            raise DataError(self.name, f"is not what such a head says: {shown(said)}")
        return f"{len(vector)} dimensions"

    def head(self, model: Model, options: Mapping[str, Any]) -> Any:
        """A `EmbeddingHead`."""
        from codecframe.tasks.heads import EmbeddingHead

        return EmbeddingHead.of(model, options)


EMBEDDING = Embedding()
_ROWS = 512


def _checked(target: Any) -> Any:
    if isinstance(target, (str, int, np.integer, np.ndarray)):
        return target
    raise MismatchError(f"the truth of an embedding is a label, not {shown(target)}")


def _cosine(direction: FloatArray, target: Any) -> float:
    if not isinstance(_checked(target), np.ndarray):
        return float("nan")
    length = max(float(np.linalg.norm(target)), 1e-12)
    cosine = float((direction.astype(np.float64) * target).sum() / length)
    return 1.0 if cosine > 1 - 1e-6 else cosine


def _nearest(vectors: FloatArray) -> npt.NDArray[np.intp]:
    """Of each vector the other one that is nearest; zeros are nearest to none."""
    found = []
    absent = ~vectors.any(axis=1)
    for first in range(0, len(vectors), _ROWS):
        near = vectors[first : first + _ROWS] @ vectors.T
        near[:, absent] = -np.inf
        rows = np.arange(len(near))
        near[rows, rows + first] = -np.inf
        found.append(near.argmax(axis=1))
    return np.concatenate(found)


def _of_records(records: Sequence[Any]) -> tuple[FloatArray, list[str]]:
    """(directions, labels)."""
    try:
        rows = [np.frombuffer(base64.b64decode(one["vector"]), "<f2") for one in records]
        labels = [str(one["label"]) for one in records]
        size = max(map(len, rows))
        vectors = np.zeros((len(rows), size), np.float32)
        for vector, row in zip(vectors, rows, strict=True):
            if len(row):
                vector[:] = row
    except (TypeError, KeyError, ValueError, binascii.Error):
        raise DataError("embedding", "has records of another kind") from None
    return vectors, labels
