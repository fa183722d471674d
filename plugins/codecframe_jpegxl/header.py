"""The JPEG XL image header (ISO/IEC 18181-1, annex D): declared sizes, and the usual header."""

from __future__ import annotations

from codecframe import Shape
from codecframe.core import isobmff
from codecframe.core.colour import (
    D65,
    PRIMARIES,
    SRGB,
    SRGB_CURVE,
    Point,
    grey_profile,
    rgb_profile,
)

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height
_SIDE_BITS = (9, 13, 18, 30)
_CUSTOM = 2  # a white point, or primaries, that follow


def declared(data: bytes) -> tuple[Shape, int | None]:
    """(height, width) and the depth in bits of a JPEG XL file, bare or in its container.

    The depth is None where the header tells it only after things that are not read here, or where
    samples are floating-point numbers.

    Raises:
        ValueError: if this is not a JPEG XL file, or too short to tell.
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


_ANY = ((0, 0), (0, 1), (4, 2), (6, 18))  # of an enumeration: bits to read, and what is added
_ALPHA, _SPOT, _CFA = 0, 2, 5  # kinds of further channels
_GREY, _XYB = 1, 2  # colour spaces


def icc_profile(data: bytes) -> bytes | None:
    """The profile of the colours that libjxl decodes a file to; None where they are sRGB.

    Raises:
        ValueError: if it holds a profile that is only known to libjxl, or has a high dynamic range.
    """
    start = _codestream_start(data)
    bits = _Bits(data[start + 2 : start + 2 + 1024])
    _read_size(bits)
    if bits.read(1):  # all image metadata have their defaults
        return None
    if bits.read(1):
        _skip_extra_fields(bits)
    _skip_depth(bits)
    bits.read(1)
    for _ in range(bits.choose((0, 0), (0, 1), (4, 2), (12, 1))):
        _skip_channel(bits)
    perceptual = bits.read(1)  # then colours of an embedded profile are decoded to sRGB
    if bits.read(1):  # the colours have their default
        return None
    embedded, space = bits.read(1), bits.choose(*_ANY)
    if embedded and perceptual:
        return None
    if embedded or space == _XYB:
        raise ValueError("has colours whose profile cannot be read")
    return _read_colours(bits, space)


def holds_jpeg(data: bytes) -> bool:
    """Whether a JPEG file can be rebuilt from this one."""
    return data.startswith(CONTAINER) and any(box.kind == b"jbrd" for box in isobmff.boxes(data))


def _read_colours(bits: _Bits, space: int) -> bytes | None:
    """The profile of colours that are described by numbers."""
    white = _read_white(bits)
    primaries = None if space == _GREY else _read_primaries(bits)
    gamma = 1e7 / max(1, bits.read(24)) if bits.read(1) else None
    transfer = SRGB_CURVE if gamma else bits.choose(*_ANY)
    transfer = SRGB_CURVE if transfer == 2 else transfer  # not said
    if transfer == SRGB_CURVE and gamma is None and (primaries or SRGB, white) == (SRGB, D65):
        return None
    curve = gamma or transfer
    if primaries is None:
        return grey_profile(curve, is_gamma=gamma is not None)
    return rgb_profile(primaries, white, curve, is_gamma=gamma is not None)


def _read_white(bits: _Bits) -> Point:
    kind = bits.choose(*_ANY)
    if kind == _CUSTOM:
        return _read_point(bits)
    known = {1: D65, 10: (1 / 3, 1 / 3), 11: (0.314, 0.351)}
    if kind not in known:
        raise ValueError(f"has an unknown white point ({kind})")
    return known[kind]


def _read_primaries(bits: _Bits) -> tuple[Point, Point, Point]:
    kind = bits.choose(*_ANY)
    if kind == _CUSTOM:
        return _read_point(bits), _read_point(bits), _read_point(bits)
    if kind not in PRIMARIES:
        raise ValueError(f"has unknown primaries ({kind})")
    return PRIMARIES[kind][0]


def _read_point(bits: _Bits) -> Point:
    sizes = ((19, 0), (19, 1 << 19), (20, 1 << 20), (21, 1 << 21))
    x, y = ((v >> 1 ^ -(v & 1)) / 1e6 for v in (bits.choose(*sizes), bits.choose(*sizes)))
    return x, y


def _skip_extra_fields(bits: _Bits) -> None:
    """Orientation, intrinsic size, preview, animation."""
    bits.read(3)
    if bits.read(1):
        _read_size(bits)
    if bits.read(1):
        sizes = ((0, 16), (0, 32), (5, 1), (9, 33)) if bits.read(1) else (
            (6, 1), (8, 65), (10, 321), (12, 1345))  # fmt: skip
        bits.choose(*sizes)
        if not bits.read(3):
            bits.choose(*sizes)
    if bits.read(1):
        bits.choose((0, 100), (0, 1000), (10, 1), (30, 1))
        bits.choose((0, 1), (0, 1001), (8, 1), (10, 1))
        bits.choose((0, 0), (3, 0), (16, 0), (32, 0))
        bits.read(1)


def _skip_depth(bits: _Bits) -> None:
    if bits.read(1):
        bits.choose((0, 32), (0, 16), (0, 24), (6, 1))
        bits.read(4)
    else:
        bits.choose((0, 8), (0, 10), (0, 12), (6, 1))


def _skip_channel(bits: _Bits) -> None:
    if bits.read(1):  # alpha of 8 bits
        return
    kind = bits.choose(*_ANY)
    _skip_depth(bits)
    bits.choose((0, 0), (0, 3), (0, 4), (3, 1))
    bits.read(8 * bits.choose((0, 0), (4, 0), (5, 16), (10, 48)))
    if kind == _ALPHA:
        bits.read(1)
    elif kind == _SPOT:
        bits.read(64)
    elif kind == _CFA:
        bits.choose((0, 1), (2, 0), (4, 3), (8, 19))


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

    def choose(self, *choices: tuple[int, int]) -> int:
        """A number in one of four forms: (bits to read, what is added)."""
        bits, added = choices[self.read(2)]
        return self.read(bits) + added

    def write(self, field: int, bits: int) -> None:
        self._value |= field << self._position
        self._position += bits

    def to_bytes(self) -> bytes:
        return self._value.to_bytes((self._position + 7) // 8, "little")
