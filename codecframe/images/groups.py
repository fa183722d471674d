"""Which images belong together: told by their paths, or by the labels file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from codecframe.core.errors import DataError, SettingsError
from codecframe.core.rows import read_rows
from codecframe.images.items import ImageItem, ImageSet
from codecframe.images.sets import open_images

FORMS = "folder, pattern:REGEX or column:NAME"
"""How a group is told."""


def group_names(
    items: Sequence[ImageItem], spec: str, labels: str | os.PathLike[str] | None
) -> list[str]:
    """The group of each image.

    Args:
        items: the images.
        spec: `folder`: the folder that an image lies in. `pattern:REGEX`: what the regular
            expression finds in its path, or its groups in parentheses. `column:NAME`: that column
            of the labels file.
        labels: the labels file, for a column.

    Raises:
        SettingsError: for another spec, or a regular expression that cannot be read.
        DataError: if the pattern finds nothing in a path, or the labels file has no such column.
    """
    kind, _, text = spec.partition(":")
    if spec == "folder":
        return [str(PurePosixPath(item.name).parent) for item in items]
    if kind == "pattern" and text:
        return _by_pattern([item.name for item in items], text)
    if kind == "column" and text:
        return _by_column(items, text, labels)
    raise SettingsError("group", spec, FORMS)


def _by_pattern(names: Sequence[str], text: str) -> list[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise SettingsError("group", f"pattern:{text}", f"a regular expression: {error}") from None
    groups = []
    for name in names:
        found = pattern.search(name)
        if found is None:
            raise DataError(name, f"has no group: the pattern {text!r} finds nothing in its path")
        groups.append("/".join(map(str, found.groups())) or found.group())
    return groups


def _by_column(
    items: Sequence[ImageItem], column: str, labels: str | os.PathLike[str] | None
) -> list[str]:
    if labels is None or str(labels) == "folders":
        raise SettingsError("group", f"column:{column}", "a column of a labels file (CSV)")
    path = str(labels)
    rows = {place: row[column] for place, row in read_rows(path, [column])}
    places = [os.path.abspath(item.path) if item.path else item.name for item in items]
    for place in places:
        if place not in rows:
            raise DataError(path, f"has no row for {place}")
    return [rows[place] for place in places]


def open_held_out(
    specs: Sequence[str],
    images: Sequence[str | Path] | str | Path,
    *,
    where: Mapping[str, str] | None = None,
    **choice: Any,
) -> ImageSet:
    """Open the images that are held out of others.

    Args:
        specs: paths and globs, as `open_images` takes them; or `COLUMN=VALUE`: the rows of the
            labels file that have this value.
        images: those that they are held out of.
        where: as `open_images` takes it, for rows.
        choice: what else `open_images` takes.

    Raises:
        DataError: if something does not exist, or both kinds are mixed.
    """
    rows = [spec for spec in specs if "=" in spec and not os.path.lexists(spec)]
    if not rows:
        return open_images(specs, **choice)
    if len(rows) < len(specs):
        raise DataError(rows[0], "rows and paths are not held out together")
    chosen = dict(where or {}) | {c: v for c, _, v in (row.partition("=") for row in rows)}
    return open_images(images, where=chosen, **choice)


def without(items: ImageSet, held_out: Iterable[ImageItem]) -> ImageSet:
    """Images without the files that are held out of them.

    Raises:
        DataError: if none are left.
    """
    apart = {os.path.abspath(item.path) for item in held_out if item.path}
    kept = [
        place
        for place, item in enumerate(items)
        if item.path is None or os.path.abspath(item.path) not in apart
    ]
    if not kept:
        raise DataError("held_out", "names all of the images: none are left")
    return ImageSet([items], kept)
