"""The trainer interface: makes a model file from labelled images, as a recipe says.

A new kind of training is a `Settings` dataclass, whose fields are the keys of a recipe, and one
method:

    class MyTrainer(codecframe.Trainer[MySettings]):
        kind = "mine"
        summary = "what it makes"
        suffix = ".onnx"
        settings_type = MySettings

        def train(self, settings, run): ...
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from codecframe.core.classification import CLASSIFICATION
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.core.progress import ProgressMaker
from codecframe.core.settings import Settings
from codecframe.core.split import hold_out, leak_warning
from codecframe.core.task import Task

S = TypeVar("S", bound=Settings)


class LabelledImage(Protocol):
    """One image of a training set.

    Examples:
        >>> item: cf.LabelledImage = cf.open_images("photos", labels="folders")[0]
        >>> item.target, item.read().shape
        ('cat', (48, 64, 3))
    """

    @property
    def target(self) -> int | str | None:
        """Its label: a class index or a class name."""
        ...

    def read(self) -> Image:
        """The image.

        Raises:
            DataError: if it cannot be read.
        """
        ...


@dataclass(frozen=True)
class TrainingRun:
    """What a trainer is given besides its settings.

    Attributes:
        name: of the recipe and of what it makes.
        images: the training images.
        classes: class names in the order of the class indices; empty where images have no labels.
        folder: where checkpoints and `log.jsonl` lie. A run continues from what it finds there.
        output: the model file to write, whole, when all is done.
        recipe: the recipe as plain data, for the model file.
        progress: shows how far it is.
        groups: of each image, where some belong together.
        held_out: validation images, where the recipe names some; not among `images`.
        warn: takes what a user should know.
        head: the head that is trained on, where it was given as an object and not by its name.

    Examples:
        >>> items = cf.open_images("photos", labels="folders")
        >>> run = cf.TrainingRun(
        ...     "mine", items, ("cat", "dog"), Path("mine.log"), Path("mine.onnx"), {}, Silent,
        ...     held_out=items[:1],
        ... )
        >>> training, held = run.split(1)
        >>> len(held)
        1
    """

    name: str
    images: Sequence[LabelledImage]
    classes: tuple[str, ...]
    folder: Path
    output: Path
    recipe: dict[str, Any]
    progress: ProgressMaker
    groups: Sequence[str] | None = None
    held_out: Sequence[LabelledImage] | None = None
    warn: Callable[[str], None] = warnings.warn
    head: TaskHead | None = None

    def split(self, count: int) -> tuple[Sequence[LabelledImage], Sequence[LabelledImage]]:
        """(training images, validation images).

        The latter are those that the recipe names, or else `count` images, evenly spread; of
        groups, as many whole ones as have that many images at least. Warns where validation images
        look like training images beside them, or have classes of their own.

        Raises:
            SettingsError: if none would be left to train on.
        """
        if self.held_out is not None:
            training, held = self.images, self.held_out
        else:
            places = hold_out(count, len(self.images), self.groups)
            if leak := leak_warning(lambda at: self.images[at].read(), len(self.images), places):
                self.warn(leak)
            apart = set(places)
            training = [image for at, image in enumerate(self.images) if at not in apart]
            held = [self.images[at] for at in places]
        unknown = {image.target for image in held} - {image.target for image in training}
        if unknown:
            examples = ", ".join(map(str, sorted(unknown, key=str)[:3]))
            self.warn(f"{len(unknown)} classes are only in the held-out images, e.g. {examples}")
        return training, held


class Trainer(ABC, Generic[S]):
    """One kind of training.

    Attributes:
        kind: what a recipe says after `kind:`.
        summary: one line for listings.
        suffix: of the model file, with its dot.
        settings_type: what a recipe may set.
        requires: import name of an optional package -> the pip requirement that installs it.

    Examples:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class MeanSettings(cf.Settings):
        ...     step: int = cf.option(1, low=1, help="takes every so many images")
        >>> class MeanTrainer(cf.Trainer[MeanSettings]):
        ...     kind = "mean"
        ...     suffix = ".txt"
        ...     settings_type = MeanSettings
        ...
        ...     def train(self, settings, run):
        ...         images = [item.read() for item in run.images[:: settings.step]]
        ...         cf.write_whole(run.output, str(np.mean(images)))
        >>> items = cf.open_images("photos")
        >>> run = cf.TrainingRun("mean", items, (), Path("log"), Path("mean.txt"), {}, Silent)
        >>> MeanTrainer().train(MeanSettings(), run)
        >>> 0 < float(Path("mean.txt").read_text()) < 255
        True
    """

    kind: ClassVar[str]
    summary: ClassVar[str] = ""
    suffix: ClassVar[str]
    settings_type: type[S]
    requires: ClassVar[dict[str, str]] = {}

    @property
    def name(self) -> str:
        """The kind, as the registry lists it."""
        return self.kind

    def task_of(self, settings: S) -> Task:
        """What the images' labels are for. Labels of another task than classification choose images
        and do not reach the run. Default: classification.
        """
        del settings
        return CLASSIFICATION

    @abstractmethod
    def train(self, settings: S, run: TrainingRun) -> None:
        """Train, and write `run.output`.

        May be stopped at any time, and then goes on from its last checkpoint: the model is the
        same as that of a run in one go.

        Raises:
            MismatchError: if the images are not of the kind that it can train on.
        """
