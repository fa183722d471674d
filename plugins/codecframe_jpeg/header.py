"""What any JPEG file says of itself before its image data."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from codecframe.image import Shape

_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)  # libjpeg skips other bytes, too
_PLAIN = re.compile(  # a JFIF file with nothing but quantisation tables before its frame
    rb"\xff\xd8\xff\xe0\x00\x10JFIF.{10}(?:\xff\xdb\x00\x43.{65}){1,2}\xff[\xc0\xc2]..", re.DOTALL
)
_FRAME = struct.Struct(">BHHB")  # bits a sample, height, width, components
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SOS, _EOI = 0xDA, 0xD9


class Header(NamedTuple):
    """Size, components and bits a sample of a file, and a place before its first scan."""

    shape: Shape
    components: int
    bits: int
    position: int


def read_header(data: bytes) -> Header:
    """Read the segments of a file up to its first scan.

    Raises:
        ValueError: if it is no JPEG, or damaged before that.
    """
    plain = _PLAIN.match(data)
    if plain and len(data) >= plain.end() + _FRAME.size:  # the usual case, many times as fast
        bits, height, width, components = _FRAME.unpack_from(data, plain.end())
        return Header((height, width), components, bits, plain.end())
    if not data.startswith(b"\xff\xd8\xff"):
        raise ValueError("not a JPEG file")
    frame: tuple[int, ...] | None = None
    position = 2
    while found := _MARKER.search(data, position):
        marker, position = found[1][0], found.end()
        if marker in _WITHOUT_LENGTH:
            continue
        if marker == _EOI or position + 2 > len(data):
            break
        if marker == _SOS and frame:
            bits, height, width, components = frame
            return Header((height, width), components, bits, position)
        if marker in _FRAMES:
            if frame or position + 8 > len(data):
                break
            frame = _FRAME.unpack_from(data, position + 2)
        position += max(2, int.from_bytes(data[position : position + 2], "big"))
    raise ValueError("damaged or cut short before its image data")
