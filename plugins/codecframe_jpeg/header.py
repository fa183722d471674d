"""The header of any JPEG file: everything before its image data."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from codecframe import Shape

_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)  # libjpeg skips other bytes, too
_USUAL = re.compile(  # quantisation tables, frame of three components, usual Huffman tables, scan
    rb"\xff\xd8\xff\xe0\x00\x10JFIF.{10}(?:\xff\xdb\x00\x43.{65}){1,2}\xff\xc0\x00\x11(.{6}).{9}"
    rb"(?:\xff\xc4\x00(?:\x1f.{29}|\xb5.{179})){1,4}\xff\xda(?=\x00\x0c\x03)",
    re.DOTALL,
)
_FRAME = struct.Struct(">BHHB")  # bits a sample, height, width, components
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = {0xC0, 0xC1, 0xC9}
_SOS, _EOI = 0xDA, 0xD9


class Header(NamedTuple):
    """The fields that come before the first scan.

    Attributes:
        shape: height and width.
        components: of the image.
        bits: a sample.
        position: where the first scan's own header begins.
        one_scan: whether decoders take the first scan for the whole image.
    """

    shape: Shape
    components: int
    bits: int
    position: int
    one_scan: bool


def read_header(data: bytes) -> Header:
    """Read the segments of a file up to its first scan.

    Raises:
        ValueError: if it is not a JPEG file, or damaged before that.
    """
    if usual := _USUAL.match(data):  # five times as fast
        bits, height, width, components = _FRAME.unpack(usual[1])
        return Header((height, width), components, bits, usual.end(), one_scan=True)
    if not data.startswith(b"\xff\xd8\xff"):
        raise ValueError("not a JPEG file")
    frame: tuple[int, ...] | None = None
    kind, position = 0, 2
    while found := _MARKER.search(data, position):
        marker, position = found[1][0], found.end()
        if marker in _WITHOUT_LENGTH:
            continue
        if marker == _EOI or position + 2 > len(data):
            break
        if marker == _SOS and frame:
            bits, height, width, components = frame
            whole = kind in _SEQUENTIAL and data[position + 2 : position + 3] == bytes([components])
            return Header((height, width), components, bits, position, whole)
        if marker in _FRAMES:
            if frame or position + 8 > len(data):
                break
            kind, frame = marker, _FRAME.unpack_from(data, position + 2)
        position += max(2, int.from_bytes(data[position : position + 2], "big"))
    raise ValueError("damaged or cut short before its image data")
