"""Boxes of the ISO base media file format, the container of AVIF, HEIC and JPEG XL files.

For codec plugins: reads the structure and the declared image size without a codec library.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from codecframe.image import Shape

_HEADER = struct.Struct(">I4s")
_DAMAGED = "a box does not fit in its container: damaged or cut short"


class Box(NamedTuple):
    """One box: its four-character type, and where its payload starts and ends in the file."""

    kind: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that lie one after the other in `data[start:end]`.

    Raises:
        ValueError: if a box does not fit in there.
    """
    end = len(data) if end is None else end
    while start < end:
        if start + 8 > end:
            raise ValueError(_DAMAGED)
        size, kind = _HEADER.unpack_from(data, start)
        header = 8
        if size == 1:  # a 64-bit size follows the type
            size, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:  # the last box reaches to the end
            size = end - start
        if size < header or start + size > end:
            raise ValueError(_DAMAGED)
        yield Box(kind, start + header, start + size)
        start += size


def child(data: bytes, parent: Box, kind: bytes, *, skip: int = 0) -> Box:
    """The first box of type `kind` in `parent`, whose children start after `skip` bytes.

    Raises:
        ValueError: if there is none.
    """
    for box in boxes(data, parent.start + skip, parent.end):
        if box.kind == kind:
            return box
    raise ValueError(f"no {kind.decode('latin-1')!r} box")


def image_properties(data: bytes) -> list[Box]:
    """The properties (`ispe`, `irot`, ...) of the images in a HEIF file, such as AVIF or HEIC.

    A file with a track (an animation) also yields the `moov` box that holds it.

    Raises:
        ValueError: if this is no intact HEIF file.
    """
    top = list(boxes(data))
    if not top or top[0].kind != b"ftyp":
        raise ValueError("does not start with a file type box")
    meta = next((box for box in top if box.kind == b"meta"), None)
    if meta is None:
        raise ValueError("no 'meta' box")
    container = child(data, child(data, meta, b"iprp", skip=4), b"ipco")
    tracks = [box for box in top if box.kind == b"moov"]
    return [*boxes(data, container.start, container.end), *tracks]


def declared_size(data: bytes, properties: list[Box]) -> Shape:
    """(height, width) of the largest image that the properties of a HEIF file declare.

    Raises:
        ValueError: if none declares a size.
    """
    sizes = [
        (
            int.from_bytes(data[box.start + 8 : box.start + 12], "big"),
            int.from_bytes(data[box.start + 4 : box.start + 8], "big"),
        )
        for box in properties
        if box.kind == b"ispe" and box.end - box.start >= 12
    ]
    if not sizes:
        raise ValueError("declares no image size")
    return max(sizes, key=lambda size: size[0] * size[1])
