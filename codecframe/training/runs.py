"""Runs training recipes: one flat YAML file that makes one model file.

    kind: vae                          # which trainer
    name: signs
    images: [signs/train]              # below the data root
    labels: folders
    epochs: 40                         # and all else that the trainer's settings have

Running it writes `NAME.log/` with checkpoints and a log while it goes, then the model file.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import codecframe
from codecframe.core import registry
from codecframe.core.classification import CLASSIFICATION
from codecframe.core.errors import MismatchError, OutputError
from codecframe.core.files import reported, write_whole
from codecframe.core.image import Image
from codecframe.core.outputs import HINT, refuse_foreign
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.settings import Settings
from codecframe.core.trainer import LabelledImage, Trainer, TrainingRun
from codecframe.images import CIFAR_SETS, ImageItem, ImageSet, class_names
from codecframe.training.recipes import IMAGE_KEYS, open_recipe_split, read_recipe, recipe_root

RECORD = "training.json"
"""In a training's folder: says that a training made it."""
_MOST_CLASSES = 1 << 16
"""Labels of digits are class indices: a date is none."""


def run_training(
    path: Path | str,
    models: Path | str,
    data_root: Path | str | None = None,
    *,
    changes: Sequence[str] = (),
    progress: ProgressMaker = Silent,
    force: bool = False,
    warn: Callable[[str], None] = warnings.warn,
) -> Path:
    """Run a training recipe, as `codecframe.train` does; the path of the model file."""
    recipe = read_recipe(path)
    trainer: Trainer[Any] = registry.default().trainer(recipe["kind"])
    general = {
        key: recipe.pop(key) for key in ("kind", "name", *IMAGE_KEYS, "group") if key in recipe
    }
    apart = recipe.get("held_out")
    if isinstance(apart, (str, list)):  # images; a number is the trainer's
        general["held_out"] = recipe.pop("held_out")
    settings = trainer.settings_type.from_dict(recipe).updated(changes)
    require_all(trainer)
    root = recipe_root(data_root)
    task = trainer.task_of(settings)
    images, groups, held = open_recipe_split(general, root, task)
    if task is not CLASSIFICATION:
        images, held = without_targets(images), held and without_targets(held)
    return run_on(
        trainer, settings, images, general, Path(models),
        data_root=root, progress=progress, force=force, warn=warn, groups=groups, held_out=held,
    ).output  # fmt: skip


def without_targets(items: ImageSet) -> ImageSet:
    """The images: what trains has no use for truth that is not a class."""
    return ImageSet([[replace(item, target=None) for item in items]])


def run_on(
    trainer: Trainer[Any],
    settings: Settings,
    images: ImageSet,
    general: dict[str, Any],
    models: Path,
    *,
    data_root: Path | str | None,
    progress: ProgressMaker,
    force: bool,
    warn: Callable[[str], None],
    groups: Sequence[str] | None = None,
    held_out: ImageSet | None = None,
) -> TrainingRun:
    """Run a trainer on images that are open already; the run, done.

    Args:
        trainer, settings: what is done.
        images, groups, held_out: to train on and to hold out, as a `TrainingRun` has them.
        general: the keys that recipes of every kind have.
        models: folder for the model file and the log.
        data_root, progress, force, warn: as `codecframe.train` takes them.
    """
    everything = [*images, *(held_out or ())]
    classes = _class_names(everything, general["images"], recipe_root(data_root))
    run = TrainingRun(
        name=general["name"],
        images=_indexed(images, classes),
        classes=classes,
        folder=models / f"{general['name']}.log",
        output=models / f"{general['name']}{trainer.suffix}",
        recipe={**general, **settings.to_dict()},
        progress=progress,
        groups=groups,
        held_out=None if held_out is None else _indexed(held_out, classes),
        warn=warn,
    )
    run_trainer(trainer, settings, run, force=force)
    return run


def require_all(trainer: Trainer[Any]) -> None:
    """Import the packages that a trainer needs.

    Raises:
        DependencyError: if one is not installed.
    """
    for package, install in trainer.requires.items():
        registry.require(package, install)


def run_trainer(
    trainer: Trainer[Any], settings: Settings, run: TrainingRun, *, force: bool
) -> None:
    """Run a trainer, if its files are its own.

    Raises:
        OutputError: if files of these names are there that no training made.
    """
    _claim(run, force)
    trainer.train(settings, run)


def _claim(run: TrainingRun, force: bool) -> None:
    """Make the run's folder with its record, or check that a training made the one there.

    Raises:
        OutputError: if it did not, if the model file is there and the folder is not, or if either
            name is taken by the other kind: known before a long training, not after it.
    """
    if run.output.is_dir():
        raise OutputError(str(run.output), "is a folder")
    if run.folder.is_file():
        raise OutputError(str(run.folder), "is a file; log and checkpoints need a folder there")
    record = run.folder / RECORD
    known = record.is_file()
    refuse_foreign(run.output, lambda _: known, force=force)
    if known:
        return
    with reported(run.folder):
        if run.folder.exists() and not force and any(run.folder.iterdir()):
            raise OutputError(str(run.folder), f"it holds something else; {HINT}")
    write_whole(record, json.dumps({"name": run.name, "made": codecframe.__version__}) + "\n")


def _class_names(
    images: Sequence[ImageItem], sources: Sequence[str], root: Path
) -> tuple[str, ...]:
    """Names of the classes, in the order of their indices; none where images have no labels.

    Raises:
        MismatchError: if only some of the images have labels, or some labels are numbers, which are
            class indices, and some are names.
    """
    targets = {image.target for image in images}
    if targets == {None}:
        return ()
    if None in targets:
        raise MismatchError("some of the training images have no label")
    texts = sorted(target for target in targets if isinstance(target, str))
    numbers = [target for target in targets if isinstance(target, int)]
    if texts and numbers:
        raise MismatchError(
            f"some labels are class indices, e.g. {numbers[0]}, and some are names, e.g. {texts[0]}"
        )
    if texts:
        return tuple(texts)
    count = 1 + max(numbers)
    if count > _MOST_CLASSES:
        raise MismatchError(f"label {count - 1} is a class index over {_MOST_CLASSES - 1}")
    name = sources[0].partition(":")[0]
    names = class_names(name, root) if name in CIFAR_SETS else []
    return tuple(names if count <= len(names) else map(str, range(count)))


@dataclass(frozen=True)
class _Indexed:
    """An image whose label is a class index."""

    image: ImageItem
    target: int

    def read(self) -> Image:
        """The image."""
        return self.image.read()


def _indexed(images: ImageSet, classes: Sequence[str]) -> Sequence[LabelledImage]:
    if not classes:
        return images
    index = {name: number for number, name in enumerate(classes)}
    return [
        _Indexed(image, image.target if isinstance(image.target, int) else index[str(image.target)])
        for image in images
    ]
