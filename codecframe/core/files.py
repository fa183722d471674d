"""Files: written whole or not at all; and where data sets lie."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from codecframe.core import yamltext
from codecframe.core.errors import DataError, OutputError, as_data_error, shown


def write_whole(path: Path | str, data: bytes | str) -> None:
    """Write a file under a temporary name beside it and rename: a reader never sees half of it.

    Folders are made as needed. On any failure, Ctrl-C included, an older file stays as it was and
    nothing else is left behind. Text is written as UTF-8; bytes of a file's name that are not UTF-8
    are escaped. A link is followed; a device or a pipe, such as `/dev/stdout`, is written to as it
    is.

    Raises:
        OutputError: if it cannot be written.

    Examples:
        >>> cf.write_whole("out/photo.jpg", cf.get_codec("jpeg").encode(photo))
        >>> cf.read_image("out/photo.jpg").shape
        (48, 64, 3)
    """
    path = Path(path)
    content = data.encode(errors="backslashreplace") if isinstance(data, str) else data
    with reported(path):
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
    with open_whole(path) as file:
        file.write(content)


@contextlib.contextmanager
def open_whole(path: Path | str) -> Iterator[BinaryIO]:
    """A file to write in the `with` block; it appears under its name once the block is done.

    As `write_whole`, for what does not fit into memory.

    Raises:
        OutputError: if it cannot be written.
    """
    target = Path(os.path.realpath(path))
    with reported(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


@contextlib.contextmanager
def reported(path: Path | str) -> Iterator[None]:
    """Turn an `OSError` of the `with` block into the `OutputError` for that path."""
    try:
        yield
    except OSError as error:
        raise OutputError(str(path), error.strerror or error) from None


MOST_TEXT = 16 << 20
"""Bytes of a text file, unless its reader allows more."""


def is_file(path: Path | str) -> bool:
    """Whether there is a regular file of that name; of names that no file can have, False."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):  # too long; with a NUL
        return False


@contextlib.contextmanager
def open_regular(path: Path | str) -> Iterator[BinaryIO]:
    """A regular file, or a link to one, open for reading.

    Raises:
        DataError: if it cannot be opened or read, or is a device, a pipe or a folder.
    """
    with as_data_error(path, OSError):
        try:
            mode = os.stat(path).st_mode  # first: opening a pipe would wait for its writer
        except ValueError:  # a null character
            raise DataError(str(path), "is not the name of a file") from None
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"
            raise DataError(str(path), f"is {kind}, not a regular file")
        with open(path, "rb") as file:
            yield file


def named_like(path: str, folder: str, suffix: str) -> str | None:
    """The file below a folder that is named as another, but for the suffix, and shares the most of
    its path (eight parts at most); None where there is none.
    """
    parts = os.path.splitext(os.path.abspath(path))[0].split(os.sep)[1:]
    for first in range(max(0, len(parts) - 8), len(parts)):
        found = os.path.join(folder, *parts[first:]) + suffix
        if os.path.isfile(found):
            return found
    return None


def read_text(path: Path | str, most: int = MOST_TEXT) -> str:
    """The text of a UTF-8 file. The name may come from anybody: devices and pipes are refused.

    Raises:
        DataError: if it cannot be read, is not a regular file, is larger than `most` bytes, or is
            not UTF-8 text.
    """
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DataError(str(path), f"is larger than the {most:,} bytes that are read")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(str(path), "is not UTF-8 text") from None


def read_mapping(path: Path | str) -> dict[str, Any]:
    """The mapping that a YAML file holds, as plain data.

    Raises:
        DataError: as `read_text`, or if it holds anything else.
    """
    with as_data_error(path, ValueError):
        values = yamltext.load(read_text(path))
    if not isinstance(values, dict):
        raise DataError(str(path), f"holds {shown(values)}: expected a mapping")
    return values


def read_lines(path: Path | str) -> list[str]:
    """The lines of a UTF-8 file, without empty ones at its end.

    Raises:
        DataError: as `read_text`.
    """
    return read_text(path).rstrip().splitlines()


def models_folder() -> Path:
    """Where model files are written and found by default: the folder that `CODECFRAME_MODELS`
    names, or the working directory.

    Examples:
        >>> from codecframe.core.files import models_folder
        >>> models_folder() == Path(os.environ.get("CODECFRAME_MODELS") or ".")
        True
    """
    return Path(os.environ.get("CODECFRAME_MODELS") or ".")


def data_root() -> Path | None:
    """The folder with data sets that `CODECFRAME_DATA` names, if it does."""
    text = os.environ.get("CODECFRAME_DATA")
    return Path(text) if text else None
