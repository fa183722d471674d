"""What recipes of every kind share: a flat YAML file that names images below a data root."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codecframe import yamltext
from codecframe.errors import DataError
from codecframe.images import ImageSet, open_images
from codecframe.paths import data_root

IMAGE_KEYS = ("images", "labels", "where", "limit")
"""The keys that say which images."""


def read_recipe(path: Path | str) -> dict[str, Any]:
    """A recipe file as plain data.

    Raises:
        DataError: if it cannot be read, or has no kind, no name or no images.
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
    if not isinstance(recipe["images"], list):
        raise DataError(str(path), "'images' is no list")
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
