"""The JPEG 2000 codestream (ISO/IEC 15444-1, annex A), taken apart and put together.

main header   SOC, SIZ (sizes), further segments: determined by the settings and the image size
tile part     SOT (its length), SOD, packets: only the packets are particular to the image
EOC
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from codecframe import Shape
from codecframe.core.bounds import codestream

_SOC, _SOT, _SOD, _EOC = b"\xff\x4f", b"\xff\x90", b"\xff\x93", b"\xff\xd9"
_SIZ, _COMMENT = b"\xff\x51", b"\xff\x64"


@dataclass(frozen=True)
class Declared:
    """What a file says about its image.

    Attributes:
        shape: (height, width).
        components: number of channels.
        bits: depth of the samples of the first.
        signed: whether they are signed.
    """

    shape: Shape
    components: int
    bits: int
    signed: bool


def declared(data: bytes) -> Declared:
    """Read the SIZ segment of a codestream, bare or in a JP2 file.

    Raises:
        ValueError: if there is no SIZ segment, or the codestream does not end as it should.
    """
    start, end = codestream(data)
    if data[end - 2 : end] != _EOC:
        raise ValueError("cut short: no end-of-codestream marker")
    x1, y1, x0, y0 = struct.unpack_from(">4I", data, start + 8)
    components, depth = struct.unpack_from(">HB", data, start + 40)
    return Declared((y1 - y0, x1 - x0), components, (depth & 127) + 1, depth > 127)


def split(data: bytes) -> tuple[bytes, bytes]:
    """The main header without its comments, and the packets, of a codestream with one tile part.

    Raises:
        ValueError: if the codestream has another form.
    """
    if not data.startswith(_SOC + _SIZ):
        raise ValueError("not a codestream")
    header, position = [_SOC], 2
    while (marker := data[position : position + 2]) != _SOT:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker[:1] != b"\xff" or end <= position + 2 or end > len(data):
            raise ValueError("a damaged main header")
        if marker != _COMMENT:
            header.append(data[position:end])
        position = end
    packets = data[position + 14 : -2]
    if data[position:] != _tile_part(packets):
        raise ValueError("not a single tile part")
    return b"".join(header), packets


def join(header: bytes, packets: bytes) -> bytes:
    """Inverse of `split`, for a codestream without comments."""
    return header + _tile_part(packets)


def with_size(header: bytes, shape: Shape) -> bytes:
    """A main header with another image size, which is the tile's too."""
    height, width = shape
    size = struct.pack(">4I", width, height, 0, 0)
    return header[:8] + size + size + header[40:]


def is_file(payload: bytes) -> bool:
    """Whether a payload is a whole file. Packets cannot end like one: no marker occurs in them."""
    return payload.endswith(_EOC)


def _tile_part(packets: bytes) -> bytes:
    start = _SOT + struct.pack(">HHIBB", 10, 0, 14 + len(packets), 0, 1)
    return start + _SOD + packets + _EOC
