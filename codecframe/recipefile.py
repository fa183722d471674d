"""What recipes of every kind share: a flat YAML file that names images below a data root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from codecframe import yamltext
from codecframe.errors import DataError
from codecframe.images import ImageSet, open_images
from codecframe.paths import data_root

IMAGE_KEYS = ("images", "labels", "where", "limit")
"""The keys that say which images."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_file_name(value: Any) -> bool:
    return _is_text(value) and Path(value).name == value


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


_KEYS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "kind": ("text", _is_text),
    "name": ("text that can name a file", _is_file_name),
    "images": ("list of texts", _are_texts),
    "labels": ("text", _is_text),
    "where": ("text for each column", lambda v: isinstance(v, dict) and _are_texts([*v.values()])),
    "limit": ("count", _is_count),
}
"""What the shared keys hold."""


def read_recipe(path: Path | str) -> dict[str, Any]:
    """A recipe file as plain data.

    Raises:
        DataError: if it cannot be read, has no kind, no name or no images, or one of the keys that
            recipes of every kind share is of the wrong type.
    """
    try:
        recipe = yamltext.load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(str(path), error) from None
    if not isinstance(recipe, dict):
        raise DataError(str(path), "is no recipe")
    for key in ("kind", "name", "images"):
        if not recipe.get(key):
            raise DataError(str(path), f"is no recipe: it says no {key!r}")
    for key, (what, fits) in _KEYS.items():
        if recipe.get(key) is not None and not fits(recipe[key]):
            raise DataError(str(path), f"{key!r} is {recipe[key]!r}, which is no {what}")
    return recipe


def recipe_root(root: Path | str | None) -> Path:
    """The folder below which a recipe's images lie; by default `CODECFRAME_DATA`."""
    return Path(root) if root is not None else data_root() or Path()


def open_recipe_images(recipe: Mapping[str, Any], root: Path) -> ImageSet:
    """The images that a recipe names.

    Raises:
        DataError: if they are not there.
    """
    labels = recipe.get("labels")
    if labels is not None and labels != "folders":
        labels = str(root / labels)
    return open_images(
        [name if ":" in name else str(root / name) for name in recipe["images"]],
        labels=labels,
        where=dict(recipe.get("where") or {}),
        limit=recipe.get("limit"),
        data_root=root,
    )
