"""Files that commands write: files that codecframe did not make are never lost.

A file that is already there is replaced only if it is empty, has the very bytes that are to be
written, or is known to be ours by what is in it. An input is never overwritten: paths
that lead to one file, by links or by the file system's own rules, are the same file.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from codecframe.core.errors import OutputError
from codecframe.core.files import open_whole, reported, write_whole

HINT = "choose another name, or replace it with --force"


def refuse_inputs(outputs: Iterable[Path | str], inputs: Iterable[Path | str]) -> None:
    """Check that no output is one of the inputs.

    Raises:
        OutputError: if one is, whatever path or link leads to it.
    """
    there = {key: path for path in outputs if (key := _identity(path))}
    if not there:
        return
    for path in inputs:
        key = _identity(path)
        if key in there:
            raise OutputError(str(there[key]), f"it is the input {path}; {HINT}")


def refuse_foreign(path: Path | str, ours: Callable[[Path], bool], *, force: bool = False) -> None:
    """Check that a file may be replaced: it is absent, empty, not a regular file, or ours.

    Args:
        path: the file.
        ours: whether codecframe made a file, by what is in it.
        force: any file may be replaced.

    Raises:
        OutputError: if it is somebody else's.
    """
    path = Path(path)
    with reported(path):
        if force or not path.is_file() or path.stat().st_size == 0 or ours(path):
            return
    raise OutputError(str(path), f"codecframe did not make the file that is there; {HINT}")


def make_way(path: Path | str, ours: Callable[[Path], bool]) -> None:
    """Remove the file that is there, unless it is ours: for what goes on with its own file.

    Raises:
        OutputError: if it cannot be removed.
    """
    path = Path(path)
    with reported(path):
        if path.is_file() and not ours(path):
            path.unlink()


def write_unless_other(path: Path | str, data: bytes, *, force: bool = False) -> None:
    """Write a file whole, as `write_whole`, unless a file with other bytes is there.

    Raises:
        OutputError: if there is, or if it cannot be written.
    """
    path = Path(path)
    if force or not path.is_file():
        write_whole(path, data)
        return
    with reported(path):
        size = path.stat().st_size
        same = size == len(data) and path.read_bytes() == data
    if size == 0:
        write_whole(path, data)
    elif not same:
        raise _other(path)


@contextmanager
def open_unless_other(path: Path | str) -> Iterator[BinaryIO]:
    """A file to write in the `with` block, as `open_whole`, unless one with other bytes is there.

    Raises:
        OutputError: if there is, or if it cannot be written.
    """
    path = Path(path)
    with open_whole(path) as file:
        yield file
        file.flush()
        with reported(path):
            known = path.is_file() and path.stat().st_size > 0
            if known and not filecmp.cmp(file.name, path, shallow=False):
                raise _other(path)


def _other(path: Path) -> OutputError:
    return OutputError(str(path), f"a file with other content is there; {HINT}")


def _identity(path: Path | str) -> tuple[int, int] | None:
    """What two paths to one file have in common; None where there is no file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
