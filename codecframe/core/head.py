"""The head interface: a task's model behind the codec. A new head is one method, `predict`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.classification import CLASSIFICATION, FloatArray, Prediction
from codecframe.core.errors import MismatchError, shown
from codecframe.core.image import Image, Shape
from codecframe.core.representation import PIXELS, Latents, Representation
from codecframe.core.task import Task, Values

Batch = Sequence[Image] | Sequence[Latents]
"""What a head is given: images, `uint8` (height, width, 3), or latents.

Examples:
    >>> batch: cf.Batch = [photo, photo[:32, :32]]  # images may differ in size
"""


class TaskHead(ABC):
    """A model behind the codec: takes one representation, gives predictions of its task.

    `score`, `loss`, `divergence` and `pseudo_targets` are those of the task, classification unless
    a head says otherwise. A head may override them; profiles, selection, tuning and reports follow.

    Attributes:
        name: what users type.
        summary: one line for listings.
        task: what its predictions are, and how they are scored.
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
    task: Task = CLASSIFICATION
    accepts: Representation = PIXELS
    labels: tuple[str, ...] = ()
    input_shape: Shape | None = None
    requires: Mapping[str, str] = MappingProxyType({})
    reference: str = ""
    """The head of pixels whose prediction of uncompressed images this one should agree with; empty
    for its own."""
    spec: str = ""
    """By what it was opened: a model file, an import path; empty: by its name."""

    @property
    def metric(self) -> str:
        """What `score` measures, as tables call it; the task's unless a head says otherwise."""
        return self.task.metric

    @abstractmethod
    def predict(self, batch: Batch) -> Any:
        """Predict for a batch of images (sizes may differ) or latents, as `accepts` says.

        Returns:
            The task's `TaskPrediction`: a `Prediction` of a classifier. Places in images are in the
            pixels of the images that were given.
        """

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

    def score(self, prediction: Any, targets: Sequence[Any]) -> Values:
        """How right each prediction is, from 0 to 1, (images,); of classification: top-1 hits.

        Raises:
            MismatchError: if a target is not one of the task's, or not a class of this head.
        """
        return self.task.score(prediction, targets)

    def ranks(self, prediction: Any, targets: Sequence[Any]) -> npt.NDArray[np.int64] | None:
        """How many classes each prediction prefers to the target, shape (images,): below k is a
        top-k hit. None where the task is not classification.
        """
        if not isinstance(prediction, Prediction) or prediction.scores.ndim != 2:
            return None
        wanted = np.asarray(targets) if all(map(np.isscalar, targets)) else np.empty(0)
        if wanted.dtype.kind not in "iu":
            return None
        of_target = np.take_along_axis(prediction.scores, wanted[:, None].astype(np.int64), axis=1)
        return np.asarray((prediction.scores > of_target).sum(axis=1))

    def loss(self, prediction: Any, targets: Sequence[Any]) -> Values:
        """What to make small when tuning, 0 or more, (images,); of classification: cross-entropy of
        the class probabilities, in nats.
        """
        return self.task.loss(prediction, targets)

    def divergence(self, prediction: Any, reference: Any) -> Values:
        """How far each prediction is from the reference, 0 or more, (images,); of classification:
        Kullback-Leibler divergence from the reference's class probabilities, in nats.
        """
        return self.task.divergence(prediction, reference)

    def confidence(self, prediction: Any) -> Values:
        """How sure each prediction is of itself, from 0 to 1, (images,); of classification: the
        probability of the likeliest class.

        Raises:
            MismatchError: if predictions of the task do not say.
        """
        return self.task.confidence(prediction)

    def pixel_gradients(
        self, images: Sequence[Image], targets: FloatArray | None
    ) -> list[FloatArray] | None:
        """How the loss changes with pixels, for tuning; None where the head cannot say.

        Args:
            images: as `prepare` makes them.
            targets: of classification, probabilities of the classes, (images, classes).

        Returns:
            `float32`, (height, width, 3), for a step of one pixel value: derivatives of each
            image's cross-entropy against its targets, in nats. Of another task, derivatives of a
            sum of what the model gives with random signs, weighted by how much each number
            matters: their squares are, on average, the diagonal of the Gauss-Newton matrix.
            Default: None.
        """
        del images, targets
        return None

    def pseudo_targets(self, prediction: Any) -> list[Any]:
        """A target for each image, read off the head's own prediction, for images without labels;
        of classification: the likeliest class.
        """
        return self.task.pseudo_targets(prediction)

    def truth(self, truth: Any, shape: Shape, prepared: Shape) -> Any:
        """What `score` takes, of the truth of an image as files or programs have it.

        Args:
            truth: a label; boxes, a map of classes: as the task has it.
            shape: (height, width) of the image that it is of.
            prepared: those of the image that is predicted, see `prepare`.

        Raises:
            MismatchError: if it is no truth of this head's task, or has a class that the head has
                not.
        """
        return self.task.target(truth, self, shape, prepared)

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
