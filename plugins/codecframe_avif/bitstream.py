"""The part of the AV1 bitstream (its sequence header) that codecframe writes itself.

AV1 data is a run of open bitstream units (OBUs). A still image is a sequence header, which the
settings and the image size determine, and a frame. See the AV1 specification, sections 5.3 to 5.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

SEQUENCE_HEADER = 1
TEMPORAL_DELIMITER = 2
FRAME = 6

SRGB = (1, 13, 6)
"""Colour primaries, transfer function and matrix (code points of ITU-T H.273) of every image."""

_LEVELS = (  # level index, largest picture in samples, largest width, largest height (annex A.3)
    (0, 147_456, 2048, 1152),
    (1, 278_784, 2816, 1584),
    (4, 665_856, 4352, 2448),
    (5, 1_065_024, 5504, 3096),
    (8, 2_359_296, 6144, 3456),
    (12, 8_912_896, 8192, 4352),
    (16, 35_651_584, 16384, 8704),
)
NO_LEVEL = 31


class Obu(NamedTuple):
    """An open bitstream unit: its type, and where it and its payload start and end."""

    kind: int
    begin: int
    start: int
    end: int


def obus(data: bytes, position: int, end: int) -> Iterator[Obu]:
    """The units in `data[position:end]`.

    Raises:
        ValueError: if they do not fill it, or one has no size field or an extension header.
    """
    while position < end:
        begin, header = position, data[position]
        if header & 0b10000111 != 0b10:
            raise ValueError("an OBU header that no still image needs")
        size = shift = 0
        while True:
            position += 1
            if position >= end or shift > 28:
                raise ValueError("an OBU is cut short")
            size |= (data[position] & 127) << shift
            shift += 7
            if data[position] < 128:
                break
        start, position = position + 1, position + 1 + size
        if position > end:
            raise ValueError("an OBU is cut short")
        yield Obu(header >> 3, begin, start, position)


def obu(kind: int, payload: bytes) -> bytes:
    """A unit with a size field."""
    size, length = bytearray(), len(payload)
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    size.append(length)
    return bytes((kind << 3 | 2,)) + bytes(size) + payload


def level_of(width: int, height: int) -> int:
    """Index of the lowest AV1 level that allows a still image of this size."""
    for index, samples, widest, highest in _LEVELS:
        if width * height <= samples and width <= widest and height <= highest:
            return index
    return NO_LEVEL


@dataclass(frozen=True)
class SequenceHeader:
    """Sequence header of an 8-bit sRGB still image, in its reduced form.

    `tools` are the six flags from `use_128x128_superblock` to `enable_restoration`.
    """

    width: int
    height: int
    profile: int
    level: int
    tools: int
    monochrome: bool
    full_range: bool
    separate_uv_delta_q: bool = False

    def to_bytes(self) -> bytes:
        """The payload of the unit."""
        width_bits = max(1, (self.width - 1).bit_length())
        height_bits = max(1, (self.height - 1).bit_length())
        fields = [
            (self.profile, 3),
            (0b11, 2),  # still picture, reduced header
            (self.level, 5),
            (width_bits - 1, 4),
            (height_bits - 1, 4),
            (self.width - 1, width_bits),
            (self.height - 1, height_bits),
            (self.tools, 6),
            (0, 1),  # 8 bits a sample
        ]
        if self.profile != 1:
            fields.append((self.monochrome, 1))
        fields += [(1, 1), *((code, 8) for code in SRGB), (self.full_range, 1)]
        if not self.monochrome:
            if self.profile == 0:
                fields.append((0, 2))  # chroma sample position: unknown
            fields.append((self.separate_uv_delta_q, 1))
        fields += [(0, 1), (1, 1)]  # no film grain; the trailing bit
        return _pack(fields)

    @classmethod
    def from_bytes(cls, payload: bytes) -> SequenceHeader:
        """Parse the payload of the unit.

        Raises:
            ValueError: if it is not the header of an 8-bit sRGB still image in its reduced form.
        """
        bits = _Bits(payload)
        profile = bits.read(3)
        bits.read(2)
        level = bits.read(5)
        width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
        width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
        tools = bits.read(6)
        bits.read(1)
        monochrome = profile != 1 and bits.read(1) == 1
        bits.read(25)
        full_range = bits.read(1) == 1
        separate = False
        if not monochrome:
            bits.read(2 if profile == 0 else 0)
            separate = bits.read(1) == 1
        header = cls(width, height, profile, level, tools, monochrome, full_range, separate)
        if header.to_bytes() != payload:
            raise ValueError("not the sequence header of an 8-bit sRGB still image")
        return header

    @property
    def configuration(self) -> bytes:
        """Payload of the `av1C` box that goes with this header."""
        subsampled_x = self.monochrome or self.profile != 1
        subsampled_y = self.monochrome or self.profile == 0
        flags = self.monochrome << 4 | subsampled_x << 3 | subsampled_y << 2
        return bytes((0x81, self.profile << 5 | self.level, flags, 0))


class _Bits:
    """Reads big-endian bit fields; zeros follow the last byte."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data + bytes(16), "big")
        self._left = 8 * len(data) + 128

    def read(self, bits: int) -> int:
        self._left -= bits
        return self._value >> self._left & ((1 << bits) - 1)


def _pack(fields: list[tuple[int, int]]) -> bytes:
    """(value, bits) pairs as bytes, the first in the highest bits, zeros at the end."""
    value = length = 0
    for field, bits in fields:
        value, length = value << bits | field, length + bits
    padding = -length % 8
    return (value << padding).to_bytes((length + padding) // 8, "big")
