"""The task interface: what heads predict, how that is scored, drawn and said.

A head (`TaskHead.task`) has one. Classification is in `core.classification`, the other tasks of
codecframe in `codecframe.tasks`; a plugin brings more by the hook `codecframe_tasks`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import MismatchError
from codecframe.core.image import Image, Shape

Values = npt.NDArray[np.float64]
"""A number for each image, or for each set of images.

Examples:
    >>> hits: cf.Values = np.array([1.0, 0.0, 1.0])
"""


class TaskPrediction(ABC):
    """What a head predicts for a batch of images.

    Examples:
        >>> seen = cf.get_head("photo_heads:brightness").predict([photo, photo[:32]])
        >>> len(seen), len(seen.take([1])), len(seen.joined([seen, seen]))
        (2, 1, 4)
    """

    @abstractmethod
    def __len__(self) -> int:
        """How many images it is of."""

    @abstractmethod
    def take(self, images: Sequence[int]) -> Self:
        """The prediction for some images of the batch, by their positions."""

    @classmethod
    @abstractmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One prediction of several, one at least, in their order."""

    def one(self, image: int) -> Self:
        """The prediction for one image of the batch."""
        return self.take([image])


Item = TypeVar("Item")


@dataclass(frozen=True)
class PerImage(TaskPrediction, Generic[Item]):
    """A prediction that is something for each image by itself: its boxes, its text.

    Attributes:
        images: one for each image.

    Examples:
        >>> class Counts(cf.PerImage[int]):
        ...     pass
        >>> Counts((3, 0, 5)).take([2, 0])
        Counts(images=(5, 3))
    """

    images: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, images: Sequence[int]) -> Self:
        """See `TaskPrediction`."""
        return replace(self, images=tuple(self.images[int(i)] for i in images))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """See `TaskPrediction`."""
        return replace(parts[0], images=tuple(one for part in parts for one in part.images))


class Model(Protocol):
    """A model as a plugin opens it from a file, before a task makes a head of it.

    Attributes:
        name: what its head is called unless something else is said.
        spec: the file.
        shapes: the shape of each output by its name, where that is known; sizes that are not known
            are None or text.
        batch_size: images that it takes at a time, at most.
        pad: whether it takes exactly so many.

    Examples:
        >>> class Constant:
        ...     name, spec, shapes, batch_size, pad = "constant", "", {}, 32, False
        ...     def preprocess(self, given):
        ...         return cf.Preprocess.of(given)
        ...     def run(self, values):
        ...         return {"mean": values.mean((2, 3))}
        ...     def torch_model(self):
        ...         return None
        ...     def details(self):
        ...         return {}
        >>> head = cf.get_task("embedding").head(Constant(), {})
        >>> head.predict([photo]).vectors.shape
        (1, 3)
    """

    name: str
    spec: str
    shapes: Mapping[str, Sequence[Any]]
    batch_size: int
    pad: bool

    def preprocess(self, given: Mapping[str, Any] | None) -> Any:
        """A `Preprocess`: what was asked for, completed by what the file says of its input."""

    def run(self, values: Any) -> Mapping[str, Any]:
        """The model's outputs by name, as arrays, for what `Preprocess.batch` made."""

    def torch_model(self) -> Any:
        """A function from a tensor, as `Preprocess.batch` makes arrays, to the outputs by name, as
        tensors that have gradients; None where torch cannot follow the model.
        """

    def details(self) -> dict[str, Any]:
        """What `codecframe heads NAME` shows of it, as plain data."""


class Classes(Protocol):
    """What a task asks of a head to know its classes."""

    name: str
    labels: tuple[str, ...]

    def target_of(self, label: str) -> Any:
        """The class that a text means; see `TaskHead.target_of`."""


class Task(ABC):
    """A kind of head: what its predictions are, and how they are scored, drawn and said.

    `score`, `divergence` and `pseudo_targets` compare predictions image by image. What is scored
    over a set of images (mAP, mIoU) is made of records: what the metric needs of each image, as
    plain data, so that a profile can be stopped and gone on with, and sets compared on the same
    images. A task without records scores a set by the mean of `score`.

    A subclass has the abstract methods; a task with records also `records`, `missed` and
    `set_scores`.

    Attributes:
        name: what a description file says: `task: detection`.
        summary: one line for listings.
        metric: what a set is scored by, as tables call it.
        has_records: whether sets are scored by records.
        image_metric: where they are, what `score` is, image by image: what `--score` is about.
        figure_names: names of what `figures` gives.
        requires: import name of an optional package -> the pip requirement that installs it.

    Examples:
        >>> task = cf.get_task("classification")
        >>> task.metric
        'top-1'
    """

    name: str
    summary: str = ""
    metric: str
    has_records: bool = False
    image_metric: str = ""
    figure_names: tuple[str, ...] = ()
    requires: Mapping[str, str] = MappingProxyType({})

    # -- image by image -------------------------------------------------------------------

    @abstractmethod
    def score(self, prediction: Any, targets: Sequence[Any]) -> Values:
        """How right each prediction is, from 0 to 1, (images,); NaN where only a set has a score.

        1 where `targets` are the prediction's own `pseudo_targets`.

        Raises:
            MismatchError: if a target is not one of this task's, or not the head's.
        """

    def loss(self, prediction: Any, targets: Sequence[Any]) -> Values:
        """What to make small when tuning, 0 or more, (images,). Default: 1 less the score."""
        return 1 - self.score(prediction, targets)

    @abstractmethod
    def divergence(self, prediction: Any, reference: Any) -> Values:
        """How far each prediction is from the reference's, 0 or more, (images,); 0 from itself."""

    @abstractmethod
    def pseudo_targets(self, prediction: Any) -> list[Any]:
        """A target for each image, read off a prediction: for images without labels."""

    def confidence(self, prediction: Any) -> Values:
        """How sure each prediction is of itself, from 0 to 1, (images,): what a cascade asks of the
        head on the device.

        Raises:
            MismatchError: if predictions of this task do not say, as by default.
        """
        del prediction
        raise MismatchError(f"predictions of the task {self.name!r} do not say how sure they are")

    # -- over a set -----------------------------------------------------------------------

    def records(self, prediction: Any, targets: Sequence[Any]) -> list[Any]:
        """What the metric needs of each image, as plain data that goes into JSON."""
        return [None] * len(targets)

    def missed(self, targets: Sequence[Any]) -> list[Any]:
        """The records of images that never arrived: nothing was predicted."""
        return [None] * len(targets)

    def set_scores(self, records: Sequence[Any], weights: Values) -> Values:
        """The metric of sets that hold images several times, or not at all.

        Args:
            records: of all images.
            weights: how often a set holds each image, (sets, images).

        Returns:
            From 0 to 1, (sets,).

        Raises:
            DataError: if a record is none of this task's.
        """
        raise NotImplementedError(f"task {self.name!r} has no records")

    def figures(self, records: Sequence[Any]) -> dict[str, float]:
        """Further numbers of a set by name, such as `AP50`. Default: none."""
        del records
        return {}

    # -- truth ----------------------------------------------------------------------------

    def read_truth(
        self, source: str, where: Mapping[str, str], images: Sequence[str]
    ) -> list[Any] | None:
        """The truth of image files, as far as it can be read without a head.

        Args:
            source: what a user gave for labels: a file or a folder.
            where: only rows whose columns have these values, where the truth is in rows.
            images: absolute paths.

        Returns:
            What `target` takes, for each image, or None for an image that `source` does not name;
            None in all: the truth is a label for each image, as classification has it.

        Raises:
            DataError: if it cannot be read.
        """
        return None

    def target(self, truth: Any, head: Classes, shape: Shape, new: Shape) -> Any:
        """What `score` takes, of what `read_truth` gave or a program had.

        Args:
            truth: of an image.
            head: has the classes.
            shape: (height, width) of that image.
            new: those that the head sees of it: places are brought to that size.

        Raises:
            MismatchError: if it is no truth of this task, or has a class that the head has not.
        """
        del shape, new
        return head.target_of(truth) if isinstance(truth, str) else truth

    # -- for people, files and the link ---------------------------------------------------

    @abstractmethod
    def to_json(self, prediction: Any) -> list[dict[str, Any]]:
        """The prediction for each image as plain data: what `--json` prints, what crosses the link
        as an answer, and what profiles keep for reports.
        """

    def target_to_json(self, target: Any) -> Any:
        """A target as plain data, in the form of `to_json` where it can be drawn. Default: as it
        is.
        """
        return target

    @abstractmethod
    def words(self, said: Mapping[str, Any]) -> str:
        """What `to_json` gave for an image, in a line: `dog 91 %, 2 cats`.

        Raises:
            DataError: if that is not what `to_json` gives: it may come from a stranger.
        """

    def draw(self, image: Image, said: Mapping[str, Any], truth: Any = None) -> Image:
        """The image with the prediction drawn on it. Default: the image as it is.

        Args:
            image: the picture; its pixels are those that the prediction is in.
            said: what `to_json` gave for it.
            truth: what `target_to_json` gave for it, drawn beside it; None: not known.

        Raises:
            DataError: if `said` or `truth` is not of that form.
        """
        del said, truth
        return image

    # -- heads ----------------------------------------------------------------------------

    def head(self, model: Model, options: Mapping[str, Any]) -> Any:
        """A `TaskHead` of a model that a plugin opened.

        Args:
            model: runs.
            options: what a description file says besides `model` and `task`.

        Raises:
            SettingsError: for an option that does not exist.
            MismatchError: if the model's outputs are not what the options say; or, by default, if
                models do not become heads of this task.
        """
        raise MismatchError(
            f"a model such as {model.name!r} does not become a head of the task {self.name!r}"
        )
