"""The JPEG XL image header (ISO/IEC 18181-1, annex D): declared sizes, and the usual header."""

from __future__ import annotations

from codecframe import Shape
from codecframe.core import isobmff

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height
_SIDE_BITS = (9, 13, 18, 30)


def declared(data: bytes) -> tuple[Shape, int | None]:
    """(height, width) and the depth in bits of a JPEG XL file, bare or in its container.

    The depth is None where the header tells it only after things that are not read here, or where
    samples are floating-point numbers.

    Raises:
        ValueError: if this is no JPEG XL file, or too short to tell.
    """
    start = _codestream_start(data)
    if data[start : start + 2] != CODESTREAM:
        raise ValueError("not a JPEG XL file")
    if len(data) < start + 6:
        raise ValueError("cut short")
    bits = _Bits(data[start + 2 : start + 18])
    return _read_size(bits), _read_depth(bits)


def image_header(shape: Shape) -> bytes:
    """Signature and header of an 8-bit sRGB image of this size, in libjxl's choice of form."""
    height, width = shape
    bits = _Bits()
    ratio = next((n for n, (w, h) in enumerate(_RATIOS, 1) if height * w // h == width), 0)
    if height % 8 == width % 8 == 0 and max(shape) <= 256:
        bits.write(1, 1)
        bits.write(height // 8 - 1, 5)
        bits.write(ratio, 3)
        if not ratio:
            bits.write(width // 8 - 1, 5)
    else:
        bits.write(0, 1)
        _write_side(bits, height)
        bits.write(ratio, 3)
        if not ratio:
            _write_side(bits, width)
    bits.write(0b11, 2)  # all image metadata and the colour transform have their defaults
    return CODESTREAM + bits.to_bytes()


def _codestream_start(data: bytes) -> int:
    if not data.startswith(CONTAINER):
        return 0
    for box in isobmff.boxes(data):
        if box.kind == b"jxlc":
            return box.start
        if box.kind == b"jxlp":  # the first part, after its number
            return box.start + 4
    raise ValueError("a container without an image")


def _read_size(bits: _Bits) -> Shape:
    small = bits.read(1)
    height = 8 * (1 + bits.read(5)) if small else _read_side(bits)
    ratio = bits.read(3)
    if ratio:
        numerator, denominator = _RATIOS[ratio - 1]
        return height, height * numerator // denominator
    return height, 8 * (1 + bits.read(5)) if small else _read_side(bits)


def _read_depth(bits: _Bits) -> int | None:
    if bits.read(1):  # all image metadata have their defaults
        return 8
    if bits.read(1) or bits.read(1):  # extra fields come first; floating-point samples
        return None
    selector = bits.read(2)
    return (8, 10, 12)[selector] if selector < 3 else 1 + bits.read(6)


def _read_side(bits: _Bits) -> int:
    return 1 + bits.read(_SIDE_BITS[bits.read(2)])


def _write_side(bits: _Bits, side: int) -> None:
    selector = next(n for n, length in enumerate(_SIDE_BITS) if (side - 1) >> length == 0)
    bits.write(selector, 2)
    bits.write(side - 1, _SIDE_BITS[selector])


class _Bits:
    """Bit fields, the first in the lowest bits, as JPEG XL has them."""

    def __init__(self, data: bytes = b"") -> None:
        self._value = int.from_bytes(data, "little")
        self._position = 0

    def read(self, bits: int) -> int:
        field = self._value >> self._position & ((1 << bits) - 1)
        self._position += bits
        return field

    def write(self, field: int, bits: int) -> None:
        self._value |= field << self._position
        self._position += bits

    def to_bytes(self) -> bytes:
        return self._value.to_bytes((self._position + 7) // 8, "little")
