"""Finding image files: folders, globs, and the labels that a CSV file gives them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from codecframe.core.errors import DataError, as_data_error, shown
from codecframe.core.rows import read_rows
from codecframe.images.read import image_suffixes

Found = tuple[str, list[str]]
"""A folder, and paths below it with forward slashes."""


def find_files(specs: Sequence[str], suffixes: Iterable[str] | None = None) -> Found:
    """All image files that paths, folders and globs mean, in a fixed order.

    Folders are searched through, in alphabetical order; hidden files and those without an image's
    suffix are left out. A file that is named in `specs` is taken whatever its suffix.

    Args:
        specs: what to search.
        suffixes: lower-case suffixes to find; by default those of images.

    Returns:
        The deepest folder that holds all of them, and their paths below it.

    Raises:
        DataError: if something does not exist or cannot be listed.
    """
    wanted = tuple(image_suffixes() if suffixes is None else suffixes)
    base, names = _joined([part for spec in specs for part in _expand(spec, wanted)])
    return base, list(dict.fromkeys(names))


def names_below(paths: Sequence[str]) -> list[str]:
    """Each path as seen from the deepest folder that holds all of them, with forward slashes."""
    return _joined([(os.path.dirname(path) or ".", [os.path.basename(path)]) for path in paths])[1]


def _joined(found: Sequence[Found]) -> Found:
    """Paths below several folders as paths below the deepest one that holds all."""
    folders = {folder for folder, _ in found}
    if len(folders) < 2:
        return folders.pop() if folders else ".", [name for _, names in found for name in names]
    base = os.path.commonpath([os.path.abspath(folder) for folder in folders])
    joined: list[str] = []
    for folder, names in found:
        inner = os.path.relpath(folder, base).replace(os.sep, "/")
        joined += names if inner == "." else (f"{inner}/{name}" for name in names)
    return base, joined


def read_labels(path: str, where: Mapping[str, str]) -> dict[str, str]:
    """Label by absolute path of the image, from a CSV file with columns `file` and `label`.

    Args:
        path: the CSV file; paths in it are relative to its folder.
        where: only rows whose columns have these values.

    Raises:
        DataError: if it cannot be read, or lacks a column.
    """
    return {place: row["label"].strip() for place, row in read_rows(path, ["label"], where)}


def _expand(spec: str, suffixes: tuple[str, ...]) -> Iterator[Found]:
    """What one path or glob means."""
    if "\0" in spec:
        raise DataError(shown(spec), "no such file or folder")
    if os.path.isdir(spec):
        yield spec, [path[len(spec) :].lstrip("/") for path in _walk(spec, suffixes)]
    elif os.path.lexists(spec):
        yield os.path.dirname(spec) or ".", [os.path.basename(spec)]
    elif matches := sorted(glob.glob(spec, recursive=True)):
        for match in matches:
            if os.path.isdir(match) or match.lower().endswith(suffixes):
                yield from _expand(match, suffixes)
    else:
        raise DataError(spec, "no such file or folder")


def _walk(folder: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    """The image files below a folder; a link to a folder that holds it is not followed."""
    with as_data_error(folder, OSError), os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            if not (entry.is_symlink() and _holds(entry.path, folder)):
                yield from _walk(entry.path, suffixes)
        elif entry.name.lower().endswith(suffixes):
            yield entry.path.replace(os.sep, "/")


def _holds(outer: str, inner: str) -> bool:
    """Whether one folder is, or is above, another one."""
    above, below = os.path.realpath(outer), os.path.realpath(inner)
    return os.path.commonpath([above, below]) == above


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file; a dangling or circular link is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False
