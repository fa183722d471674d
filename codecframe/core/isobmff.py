"""Boxes of the ISO base media file format, the container of AVIF, HEIC and JPEG XL files.

For codec plugins: reads the structure and the declared image size without a codec library.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from codecframe.core.image import Shape

_HEADER = struct.Struct(">I4s")
_DAMAGED = "a box does not fit in its container: damaged or cut short"


class Box(NamedTuple):
    """One box: its four-character type, and where its payload starts and ends in the file.

    Examples:
        >>> from codecframe.core.isobmff import Box
        >>> Box(b"ftyp", start=8, end=20).kind
        b'ftyp'
    """

    kind: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that lie one after the other in `data[start:end]`.

    Raises:
        ValueError: if a box does not fit in there.

    Examples:
        >>> from codecframe.core.isobmff import boxes
        >>> avif = cf.get_codec("avif").encode(photo)
        >>> [box.kind for box in boxes(avif)]
        [b'ftyp', b'meta', b'mdat']
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

    Examples:
        >>> from codecframe.core.isobmff import boxes, child
        >>> avif = cf.get_codec("avif").encode(photo)
        >>> ftyp, meta, mdat = boxes(avif)
        >>> child(avif, meta, b"iprp", skip=4).kind  # `meta` has 4 bytes of version and flags
        b'iprp'
    """
    for box in boxes(data, parent.start + skip, parent.end):
        if box.kind == kind:
            return box
    raise ValueError(f"no {kind.decode('latin-1')!r} box")


def image_properties(data: bytes) -> list[Box]:
    """The properties (`ispe`, `irot`, ...) of the images in a HEIF file, such as AVIF or HEIC.

    A file with a track (an animation) also yields the `moov` box that holds it.

    Raises:
        ValueError: if this is not an intact HEIF file.

    Examples:
        >>> from codecframe.core.isobmff import image_properties
        >>> b"ispe" in {box.kind for box in image_properties(cf.get_codec("avif").encode(photo))}
        True
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

    An image that is padded for coding by less than 64 pixels a side counts as what is shown of it.

    Raises:
        ValueError: if none declares a size.

    Examples:
        >>> from codecframe.core.isobmff import declared_size, image_properties
        >>> avif = cf.get_codec("avif").encode(photo)
        >>> declared_size(avif, image_properties(avif))
        (48, 64)
    """
    coded = [_numbers(data, box, 3)[:0:-1] for box in properties if box.kind == b"ispe"]
    if not coded:
        raise ValueError("declares no image size")
    height, width = max(coded, key=lambda size: size[0] * size[1])
    for box in properties:
        if box.kind == b"clap":  # the clean aperture: width and height as fractions, then offsets
            fractions = _numbers(data, box, 4)
            shown_width = fractions[0] // max(1, fractions[1])
            shown_height = fractions[2] // max(1, fractions[3])
            if height - 64 < shown_height <= height and width - 64 < shown_width <= width:
                return shown_height, shown_width
    return height, width


def colour_numbers(data: bytes, properties: list[Box]) -> tuple[int, int] | None:
    """(primaries, transfer function) by the numbers of ITU-T H.273; None where a file has none.

    Examples:
        >>> from codecframe.core.isobmff import colour_numbers, image_properties
        >>> avif = cf.get_codec("avif").encode(photo)
        >>> colour_numbers(avif, image_properties(avif))  # sRGB
        (1, 13)
    """
    for box in properties:
        if box.kind == b"colr" and data[box.start : box.start + 4] == b"nclx":
            if box.end - box.start < 8:
                return None
            primaries, transfer = struct.unpack_from(">HH", data, box.start + 4)
            return primaries, transfer
    return None


def _numbers(data: bytes, box: Box, count: int) -> tuple[int, ...]:
    """The first 32-bit numbers in a box; of a box with version and flags, these are the first."""
    if box.end - box.start < 4 * count:
        raise ValueError(_DAMAGED)
    return struct.unpack_from(f">{count}I", data, box.start)
