"""What recipes of every kind share: a flat YAML file that names images below a data root.

A recipe may say `extends: OTHER.yaml`, a file beside it: it has that one's keys, too, but for those
that it says itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codecframe.core import yamltext
from codecframe.core.errors import DataError, SettingsError, shown
from codecframe.core.files import data_root, read_text
from codecframe.images import ImageSet, group_names, open_held_out, open_images, without

_MOST_EXTENDED = 16
"""Files that extend each other."""
_LONGEST_NAME = 4096
IMAGE_KEYS = ("images", "labels", "where", "limit")
"""The keys that say which images."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_where(value: Any) -> bool:
    return isinstance(value, dict) and _are_texts([*value, *value.values()])


def _is_file_name(value: Any) -> bool:
    return _is_text(value) and Path(value).name == value


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


_KEYS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "kind": ("text", _is_text),
    "name": ("text that can name a file", _is_file_name),
    "images": ("list of texts", _are_texts),
    "labels": ("text", _is_text),
    "where": ("text for each column", _is_where),
    "limit": ("count", _is_count),
    "group": ("text", _is_text),
}
"""What the shared keys hold."""


def read_recipe(path: Path | str) -> dict[str, Any]:
    """A recipe file, with what it extends, as plain data.

    Raises:
        DataError: if it or what it extends cannot be read, it has no kind, no name or no images,
            or one of the keys that recipes of every kind share is of the wrong type.
    """
    recipe = _extended(Path(path))
    for key in ("kind", "name", "images"):
        if not recipe.get(key):
            raise DataError(str(path), f"is no recipe: it says no {key!r}")
    for key, (what, fits) in _KEYS.items():
        if recipe.get(key) is not None and not fits(recipe[key]):
            raise DataError(str(path), f"{key!r} is {shown(recipe[key])}, which is no {what}")
    return recipe


def _extended(path: Path, extending: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The keys of a file, and those of the one that it extends."""
    if len(extending) > _MOST_EXTENDED:
        raise DataError(str(path), f"more than {_MOST_EXTENDED} files extend each other")
    text = read_text(path)
    try:
        own = yamltext.load(text)
    except ValueError as error:
        raise DataError(str(path), error) from None
    if not isinstance(own, dict):
        raise DataError(str(path), "is no recipe")
    base = own.pop("extends", None)
    if base is None:
        return own
    if not _is_text(base):
        raise DataError(str(path), f"'extends' is {shown(base)}, which is no text")
    chain = (*extending, path.resolve())
    if "\0" in base or len(base) > _LONGEST_NAME:
        raise DataError(str(path), f"extends {shown(base)}, which is not the name of a file")
    if (path.parent / base).resolve() in chain:
        raise DataError(str(path), f"extends {shown(base)}, which extends it")
    return _extended(path.parent / base, chain) | own


def recipe_root(root: Path | str | None) -> Path:
    """The folder below which a recipe's images lie; by default `CODECFRAME_DATA`."""
    return Path(root) if root is not None else data_root() or Path()


def open_recipe_images(recipe: Mapping[str, Any], root: Path) -> ImageSet:
    """The images that a recipe names.

    Raises:
        DataError: if they are not there.
    """
    return open_images(_paths(recipe["images"], root), **_choice(recipe, root))


def open_recipe_split(
    recipe: Mapping[str, Any], root: Path
) -> tuple[ImageSet, list[str] | None, ImageSet | None]:
    """(training images, the group of each, held-out images) that a recipe names by `images`,
    `group` and `held_out`; None for what it does not name.

    Raises:
        DataError: if they are not there.
        SettingsError: if the groups cannot be told, or both are named.
    """
    images, named = open_recipe_images(recipe, root), recipe.get("held_out")
    choice = _choice(recipe, root)
    if named is None:
        group = recipe.get("group")
        return images, group_names(images, group, choice["labels"]) if group else None, None
    if recipe.get("group"):
        raise SettingsError("group", recipe["group"], "none beside a held-out set")
    specs = [named] if isinstance(named, str) else named
    if not _are_texts(specs):
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
