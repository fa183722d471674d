"""Reading bytes: from regular files only, and never more than an image can need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from codecframe.core.errors import LimitError
from codecframe.core.files import open_regular
from codecframe.core.image import max_pixels

_PIXEL_BYTES = 8
"""Bytes of a pixel in a file, at most: four samples of 16 bits, not compressed."""
_EXTRA_BYTES = 1 << 24
"""For all that a file holds besides: profiles, previews, metadata."""


def most_bytes() -> int:
    """Bytes that are read of a file or a stream, at most; they grow with the pixel limit."""
    return _PIXEL_BYTES * max_pixels() + _EXTRA_BYTES


def read_bytes(path: str | Path) -> bytes:
    """All of a regular file.

    Raises:
        DataError: if it cannot be read, or is not a regular file.
        LimitError: if it is larger than an image within the pixel limit can be.
    """
    with open_regular(path) as file:
        return read_bounded(file, str(path))


def read_bounded(file: BinaryIO, name: str) -> bytes:
    """What a file or a stream holds from here to its end.

    Raises:
        LimitError: if that is more than an image within the pixel limit can need; of a file, it is
            decided before it is read.
    """
    most = most_bytes()
    if file.seekable():
        position = file.tell()
        length = file.seek(0, os.SEEK_END) - position
        file.seek(position)
        check_length(length, name)
        return file.read()
    blocks, length = [], 0
    while block := file.read(min(1 << 20, most + 1 - length)):
        blocks.append(block)
        length += len(block)
        check_length(length, name)
    return b"".join(blocks)


def check_length(length: int, name: str) -> None:
    """Refuse more bytes than an image within the pixel limit can need.

    Raises:
        LimitError: if there are more.
    """
    most = most_bytes()
    if length > most:
        raise LimitError(
            f"{name}: has over {most:,} bytes, more than an image of {max_pixels():,} pixels "
            "needs; raise the limit with CODECFRAME_MAX_PIXELS or codecframe.limit_pixels()"
        )
