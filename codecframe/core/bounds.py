"""Limits on what a file may ask of its decoder, in time and memory.

For everything that decodes JPEG or JPEG 2000, codec plugins included: a few hundred bytes can
declare what keeps a decoder busy for minutes, or takes a gigabyte.
"""

from __future__ import annotations

import re
import struct

from codecframe.core import isobmff
from codecframe.core.errors import DataError, LimitError, as_data_error
from codecframe.core.image import Shape, check_size

MAX_SCANS = 100
"""Scans of a JPEG file. Encoders write 1 to some 20, and each takes time for the whole image.

Examples:
    >>> from codecframe.core.bounds import MAX_SCANS
    >>> cf.get_codec("jpeg").encode(photo, progressive=True).count(b"\\xff\\xda") < MAX_SCANS
    True
"""

_FREE_TILES = 64
_TILE_PIXELS = 1024
"""Pixels for each further tile of a JPEG 2000 file: one takes OpenJPEG some 12 kB."""

_SOS, _EOI = 0xDA, 0xD9
_START_OF_SCAN = bytes([0xFF, _SOS])
_SEGMENT = re.compile(rb"\xff+([^\x00\xff\x01\xd0-\xd8])")
"""A JPEG marker other than those that stand alone within a scan."""

_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
_SOC_SIZ, _SOT = b"\xff\x4f\xff\x51", 0xFF90


def check_scans(data: bytes, source: str, start: int = 2) -> None:
    """Refuse a JPEG file of more than `MAX_SCANS` scans, before it is decoded.

    Args:
        data: the file.
        source: what to call it in the error.
        start: where a marker segment begins; what lies before it holds no scan.

    Raises:
        DataError: if it has more.

    Examples:
        >>> from codecframe.core.bounds import check_scans
        >>> check_scans(cf.get_codec("jpeg").encode(photo), "photo.jpg")
    """
    if data.count(_START_OF_SCAN, start) <= MAX_SCANS:  # much faster, and nearly always true
        return
    scans, position = 0, start
    while (found := _SEGMENT.search(data, position)) and found[1][0] != _EOI:
        scans += found[1][0] == _SOS
        if scans > MAX_SCANS:
            raise DataError(source, f"has more than {MAX_SCANS} scans")
        position = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))


def codestream(data: bytes) -> tuple[int, int]:
    """Where the codestream of a JPEG 2000 file, bare or in JP2, begins and ends.

    Raises:
        ValueError: if there is none.

    Examples:
        >>> from codecframe.core.bounds import codestream
        >>> data = cf.get_codec("jpeg2000").encode(photo)  # a bare codestream
        >>> codestream(data) == (0, len(data))
        True
    """
    start, end = 0, len(data)
    if data.startswith(_JP2):
        box = isobmff.child(data, isobmff.Box(b"", 0, len(data)), b"jp2c")
        start, end = box.start, box.end
    if data[start : start + 4] != _SOC_SIZ or end - start < 49:
        raise ValueError("not a JPEG 2000 file")
    return start, end


def check_tiles(data: bytes, source: str) -> Shape:
    """Refuse a JPEG 2000 file with many more tiles than pixels call for, or without some of them.

    Args:
        data: a codestream, bare or in a JP2 file.
        source: what to call it in the error.

    Returns:
        (height, width) as the codestream declares it.

    Raises:
        DataError: if it is not such a file, or a tile that it declares is missing.
        LimitError: if it is over the pixel limit, or has too many tiles.

    Examples:
        >>> from codecframe.core.bounds import check_tiles
        >>> check_tiles(cf.get_codec("jpeg2000").encode(photo), "photo.j2k")
        (48, 64)
    """
    with as_data_error(source, ValueError):
        start, end = codestream(data)
    right, bottom, left, top, across, down, tile_x, tile_y = struct.unpack_from(
        ">8I", data, start + 8
    )
    shape = bottom - top, right - left
    check_size(*shape, source)
    if across < 1 or down < 1 or tile_x > left or tile_y > top:
        raise DataError(source, "declares impossible tiles")
    tiles = -(-(right - tile_x) // across) * -(-(bottom - tile_y) // down)
    if tiles > _FREE_TILES + shape[0] * shape[1] // _TILE_PIXELS:
        raise LimitError(f"{source}: has {tiles:,} tiles for {shape[1]}x{shape[0]} pixels")
    missing = tiles - len(_tiles(data, start + 2, end) & set(range(tiles)))
    if missing:
        raise DataError(source, f"lacks {missing:,} of its {tiles:,} tiles")
    return shape


def _tiles(data: bytes, position: int, end: int) -> set[int]:
    """The numbers of the tiles that a codestream has parts of."""
    found: set[int] = set()
    while position + 12 <= end:
        marker, length = struct.unpack_from(">HH", data, position)
        if marker != _SOT:
            if found or marker < 0xFF00:  # parts follow one another
                break
            position += 2 + max(2, length)
            continue
        number, size = struct.unpack_from(">HI", data, position + 4)
        found.add(number)
        if size < 14:  # 0: up to the end; others are impossible
            break
        position += size
    return found
