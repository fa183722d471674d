"""What recipes of every kind share: a flat YAML file that names images below a data root.

A recipe may say `extends: OTHER.yaml`, a file beside it: it has that one's keys, too, but for those
that it says itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codecframe.core.classification import CLASSIFICATION
from codecframe.core.errors import DataError, SettingsError, shown
from codecframe.core.files import data_root, read_mapping
from codecframe.core.settings import Settings, option
from codecframe.core.task import Task
from codecframe.images import ImageSet, group_names, open_held_out, open_images, without

_MOST_EXTENDED = 16
"""Files that extend each other."""
_LONGEST_NAME = 4096
IMAGE_KEYS = ("images", "labels", "where", "limit")
"""The keys that say which images."""


@dataclass(frozen=True, kw_only=True)
class SharedKeys(Settings):
    """What recipes of every kind may say."""

    kind: str = option(low=1, help="which trainer, or `profile`")
    name: str = option(low=1, help="names the file that is made")
    images: tuple[str, ...] = option(help="data sets, and paths below the data root")
    labels: str | None = option(None, help="`folders`, or a table of labels")
    where: dict[str, str] | None = option(None, help="columns of that table, and the text in them")
    limit: int | None = option(None, low=1, help="images, at most")
    group: str | None = option(None, help="how images are grouped that must not be apart")

    def __post_init__(self) -> None:
        super().__post_init__()
        if Path(self.name).name != self.name:
            raise SettingsError("name", self.name, "text that can name a file")
        if not self.images:
            raise SettingsError("images", [], "one or more texts")


def read_recipe(path: Path | str) -> dict[str, Any]:
    """A recipe file, with what it extends, as plain data.

    Raises:
        DataError: if it or what it extends cannot be read, it has no kind, no name or no images,
            or one of the keys that recipes of every kind share is of the wrong type.
    """
    recipe = _extended(Path(path))
    shared = {key: recipe[key] for key in SharedKeys.__dataclass_fields__ if key in recipe}
    SharedKeys.from_source(shared, str(path))
    return recipe


def _extended(path: Path, extending: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The keys of a file, and those of the one that it extends."""
    if len(extending) > _MOST_EXTENDED:
        raise DataError(str(path), f"more than {_MOST_EXTENDED} files extend each other")
    own = read_mapping(path)
    base = own.pop("extends", None)
    if base is None:
        return own
    if not isinstance(base, str):
        raise DataError(str(path), f"'extends' is {shown(base)}: expected text")
    chain = (*extending, path.resolve())
    if "\0" in base or len(base) > _LONGEST_NAME:
        raise DataError(str(path), f"extends {shown(base)}, which is not the name of a file")
    if (path.parent / base).resolve() in chain:
        raise DataError(str(path), f"extends {shown(base)}, which extends it")
    return _extended(path.parent / base, chain) | own


def recipe_root(root: Path | str | None) -> Path:
    """The folder below which a recipe's images lie; by default `CODECFRAME_DATA`."""
    return Path(root) if root is not None else data_root() or Path()


def open_recipe_images(
    recipe: Mapping[str, Any], root: Path, task: Task = CLASSIFICATION
) -> ImageSet:
    """The images that a recipe names, with what is known of them for a task.

    Raises:
        DataError: if they are not there.
    """
    return open_images(_paths(recipe["images"], root), task=task, **_choice(recipe, root))


def open_recipe_split(
    recipe: Mapping[str, Any], root: Path, task: Task = CLASSIFICATION
) -> tuple[ImageSet, list[str] | None, ImageSet | None]:
    """(training images, the group of each, held-out images) that a recipe names by `images`,
    `group` and `held_out`, with what is known of them for a task; None for what it does not name.

    Raises:
        DataError: if they are not there.
        SettingsError: if the groups cannot be told, or both are named.
    """
    images, named = open_recipe_images(recipe, root, task), recipe.get("held_out")
    choice = {**_choice(recipe, root), "task": task}
    if named is None:
        group = recipe.get("group")
        return images, group_names(images, group, choice["labels"]) if group else None, None
    if recipe.get("group"):
        raise SettingsError("group", recipe["group"], "none beside a held-out set")
    specs = [named] if isinstance(named, str) else named
    if not isinstance(specs, list) or not all(isinstance(spec, str) for spec in specs):
        raise SettingsError("held_out", named, "a number of images, or a list of texts")
    held = open_held_out(
        [
            spec if "=" in spec else path
            for spec, path in zip(specs, _paths(specs, root), strict=True)
        ],
        _paths(recipe["images"], root),
        **choice,
    )
    return without(images, held), None, held


def _paths(names: Sequence[str], root: Path) -> list[str]:
    """Data sets, and paths below the root."""
    return [name if ":" in name else str(root / name) for name in names]


def _choice(recipe: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """What `open_images` takes besides paths."""
    labels = recipe.get("labels")
    if labels is not None and labels != "folders":
        labels = str(root / labels)
    return {
        "labels": labels,
        "where": dict(recipe.get("where") or {}),
        "limit": recipe.get("limit"),
        "data_root": root,
    }
