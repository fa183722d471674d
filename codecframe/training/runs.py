"""Runs training recipes: one flat YAML file that makes one model file.

    kind: vae                          # which trainer
    name: signs
    images: [signs/train]              # below the data root
    labels: folders
    epochs: 40                         # and all else that the trainer's settings have

Running it writes `NAME.log/` with checkpoints and a log while it goes, then the model file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codecframe.core import registry
from codecframe.core.errors import MismatchError
from codecframe.core.files import reported
from codecframe.core.image import Image
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.trainer import LabelledImage, Trainer, TrainingRun
from codecframe.images import CIFAR_SETS, ImageItem, ImageSet, class_names
from codecframe.training.recipes import IMAGE_KEYS, open_recipe_images, read_recipe, recipe_root

_MOST_CLASSES = 1 << 16
"""Labels of digits are class indices: a date is none."""


def run_training(
    path: Path | str,
    models: Path | str,
    data_root: Path | str | None = None,
    *,
    changes: Sequence[str] = (),
    progress: ProgressMaker = Silent,
) -> Path:
    """Run a training recipe, going on where an earlier run stopped.

    Args:
        path: the recipe file.
        models: folder for the model file and the log.
        data_root: folder below which the recipe's images lie; `CODECFRAME_DATA` by default.
        changes: `key=value` texts that override the recipe's settings.
        progress: shows how far it is.

    Returns:
        The path of the model file.

    Raises:
        DataError: if the recipe or an image cannot be read.
        SettingsError: for a setting that the trainer does not take.
        UnknownNameError: for a kind that no plugin has.
        DependencyError: if a package that the trainer needs is not installed.
        MismatchError: if only some images have labels, or some labels are numbers and some names.
    """
    recipe = read_recipe(path)
    trainer: Trainer[Any] = registry.default().trainer(recipe["kind"])
    general = {key: recipe.pop(key) for key in ("kind", "name", *IMAGE_KEYS) if key in recipe}
    settings = trainer.settings_type.from_dict(recipe).updated(changes)
    for package, install in trainer.requires.items():
        registry.require(package, install)
    root = recipe_root(data_root)
    images = open_recipe_images(general, root)
    classes = _class_names(images, general["images"], root)
    run = TrainingRun(
        name=general["name"],
        images=_indexed(images, classes),
        classes=classes,
        folder=Path(models) / f"{general['name']}.log",
        output=Path(models) / f"{general['name']}{trainer.suffix}",
        recipe={**general, **settings.to_dict()},
        progress=progress,
    )
    with reported(run.folder):
        run.folder.mkdir(parents=True, exist_ok=True)
    trainer.train(settings, run)
    return run.output


def _class_names(images: ImageSet, sources: Sequence[str], root: Path) -> tuple[str, ...]:
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
