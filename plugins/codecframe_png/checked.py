"""PNG files checked whole before imagecodecs' libpng gets them.

Each error there loses a reference to None; after some thousands of errors Python 3.11 crashes. The
most common files, 8-bit colour, are decoded by libspng, which does not have this fault but reads
few kinds of files. For the others, libpng is only given files that are rebuilt here from checked
contents.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from codecframe_png.container import SIGNATURE, chunk

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits of a sample by the colour type."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE = 3
_KEY_SIZES = {0: 2, 2: 6}
"""Bytes of the key colour by the colour type."""
_PART = 1 << 20
_START, _CHECKSUM = struct.Struct(">I4s"), struct.Struct(">I")
_HEADER = b"\0\0\0\x0dIHDR"
_PLAIN = (b"\x08\x02\0\0\0", b"\x08\x06\0\0\0")
"""Bits, colour type, and the rest of a header, of 8-bit colour without and with alpha."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
           (0, 1, 1, 2))  # fmt: skip
"""First column and row, and the steps, of each pass of an interlaced image."""


class Chunks(NamedTuple):
    """The chunks of a file that matter.

    Attributes:
        header: the payload of IHDR.
        palette: of PLTE, empty if there is none.
        transparency: of tRNS, empty if there is no valid one.
        data: of all IDAT chunks.
    """

    header: bytes
    palette: bytes
    transparency: bytes
    data: list[memoryview]

    @property
    def bits(self) -> int:
        """Of a sample."""
        return self.header[8]

    @property
    def colour(self) -> int:
        """The colour type."""
        return self.header[9]


def is_plain(data: bytes) -> bool:
    """Whether a file is an intact one of 8-bit colour, with nothing beside it but image data.

    Quick: most files are. libspng looks at no checksums of chunks.
    """
    if data[8:16] != _HEADER or data[24:29] not in _PLAIN:
        return False
    for number, (kind, _, intact) in enumerate(_chunks(data)):
        if kind == b"IEND":
            return True
        if (number and kind != b"IDAT") or not intact:
            return False
    return False


def read(data: bytes) -> Chunks:
    """The chunks of a file up to the last of its image data; their checksums are right.

    Raises:
        ValueError: if it is damaged, or not a PNG file.
    """
    header, palette, transparency = b"", b"", b""
    stream: list[memoryview] = []
    for kind, payload, intact in _chunks(data):
        if stream and kind != b"IDAT":
            break
        if not intact:
            if kind[:1].isupper():
                raise ValueError(f"{kind.decode('latin-1')}: CRC error")
        elif kind == b"IDAT":
            stream.append(payload)
        elif kind == b"IHDR" and not header:
            header = _checked_header(bytes(payload))
        elif kind == b"PLTE":
            if palette or not payload or len(payload) % 3 or len(payload) > 768:
                if header[9] == _PALETTE:
                    raise ValueError("a damaged palette")
            else:
                palette = bytes(payload)
        elif kind == b"tRNS":
            transparency = bytes(payload)
        elif kind[:1].isupper():
            raise ValueError(f"an unknown critical chunk {kind.decode('latin-1')}")
    if not header or not stream:
        raise ValueError("cut short before its image data")
    colour, bits = header[9], header[8]
    if colour == _PALETTE:
        if not palette:
            raise ValueError("has no palette")
        palette = palette[: 3 << bits]
        right = 0 < len(transparency) <= len(palette) // 3
    else:
        palette, right = b"", len(transparency) == _KEY_SIZES.get(colour, -1)
    return Chunks(header, palette, transparency if right else b"", stream)


def rebuilt(chunks: Chunks) -> bytes:
    """A file of the same image that libpng has no reason to refuse.

    Raises:
        ValueError: if the image data is damaged.
    """
    rows = [(1 + size, count) for size, count in _rows(chunks)]
    expected = sum(size * count for size, count in rows)
    inflate = zlib.decompressobj()
    try:
        samples = inflate.decompress(b"".join(chunks.data), expected)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(samples) < expected:
        raise ValueError("not enough image data")
    position = 0
    for size, count in rows:
        filters = np.frombuffer(samples, np.uint8, size * count, position)[::size]
        if filters.max() > 4:
            raise ValueError("an unknown row filter")
        position += size * count
    made = [(b"IHDR", chunks.header), (b"PLTE", chunks.palette), (b"tRNS", chunks.transparency)]
    stream = memoryview(zlib.compress(samples, 1))
    made += [(b"IDAT", bytes(stream[at : at + _PART])) for at in range(0, len(stream), _PART)]
    return SIGNATURE + b"".join(chunk(*part) for part in made if part[1]) + chunk(b"IEND", b"")


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, bool]]:
    """(type, payload, whether its checksum is right); what is cut short is left out."""
    import imagecodecs

    crc32: Any = imagecodecs.deflate_crc32  # libdeflate's: many times as fast as zlib's
    view, position = memoryview(data), len(SIGNATURE)
    while position + 12 <= len(data):
        length, kind = _START.unpack_from(data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            return
        intact = crc32(view[position + 4 : end]) == _CHECKSUM.unpack_from(data, end)[0]
        yield kind, view[position + 8 : end], intact
        position = end + 4


def _checked_header(header: bytes) -> bytes:
    if len(header) != 13:
        raise ValueError("a damaged header")
    width, height, bits, colour, compression, filters, interlaced = struct.unpack(
        ">IIBBBBB", header
    )
    if bits not in _DEPTHS.get(colour, ()) or compression or filters or interlaced > 1:
        raise ValueError("a header that no PNG file has")
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31):
        raise ValueError("an impossible size")
    return header


def _rows(chunks: Chunks) -> Iterator[tuple[int, int]]:
    """(bytes of a row without its filter, rows) of each pass."""
    width, height = struct.unpack_from(">II", chunks.header)
    bits = chunks.bits * _CHANNELS[chunks.colour]
    for x, y, across, down in _PASSES if chunks.header[12] else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        if columns > 0 and rows > 0:
            yield (columns * bits + 7) // 8, rows
