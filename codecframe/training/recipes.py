"""What recipes of every kind share: a flat YAML file that names images below a data root.

A recipe may say `extends: OTHER.yaml`, a file beside it: it has that one's keys, too, but for those
that it says itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from codecframe.core import yamltext
from codecframe.core.errors import DataError
from codecframe.core.files import data_root
from codecframe.images import ImageSet, open_images

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
            raise DataError(str(path), f"{key!r} is {recipe[key]!r}, which is no {what}")
    return recipe


def _extended(path: Path, extending: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The keys of a file, and those of the one that it extends."""
    try:
        own = yamltext.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(str(path), error) from None
    if not isinstance(own, dict):
        raise DataError(str(path), "is no recipe")
    base = own.pop("extends", None)
    if base is None:
        return own
    if not _is_text(base):
        raise DataError(str(path), f"'extends' is {base!r}, which is no text")
    chain = (*extending, path.resolve())
    if (path.parent / base).resolve() in chain:
        raise DataError(str(path), f"extends {base!r}, which extends it")
    return _extended(path.parent / base, chain) | own


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
