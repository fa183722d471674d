"""Payloads of JPEG XL: the part of a small image's frame that differs from image to image.

An image of at most 256x256 pixels is one section. Before its pixels come, in this order, the image
header (see `header`), the frame header, the length of the section, the quantizer, and a prelude of
default tables and code descriptions. libjxl chooses among a handful of frame headers and preludes;
those are listed here, and a payload names the ones that it left out by its first byte. The lists
are part of the payload format: entries are never changed or moved, only added.
"""

from __future__ import annotations

from codecframe_jpegxl.header import CODESTREAM, CONTAINER

_FRAME_HEADERS = tuple(
    bytes.fromhex(text)
    for text in (
        "01",
        *("00130800", "0013080100", "0013080200", "00138800", "0013880200"),
        *("00140800", "0014080100", "0014080200", "0014080300"),
        *("00144800", "00144802", "00148800", "0014880200", "0014880600"),
        *("00150800", "0015080200", "0015080300", "00154800", "00158800", "0015880600"),
        *("00160800", "0016080200", "0016080300", "00164800", "00168800", "0016880600"),
        *("40160800", "4016080200", "4016080300", "40164800", "40168800", "4016880600"),
    )
)
_PRELUDES = tuple(
    bytes.fromhex(text)
    for text in (
        "",
        "000054a88c326ef072aee7cb0f1d16d336ae33b4d5b685",
        "000054a88c326ef072aee7cb0f1d16d336ae33b4d5b685258ccdf6c2",
        "000054a88c326ef072aee7cb0f1d16d336ae33b4d5b685258922e3d8249dc0612641",
        "000054a88c326ef072aee7cb0f1d16d336ae33b4d5b685258904c8bc950bc07b8287c1",
    )
)
_LONGEST_FIRST = sorted(range(len(_PRELUDES)), key=lambda n: -len(_PRELUDES[n]))
_NO_FRAME_HEADER = 1  # the first byte of a payload that lacks only the image header
_FIRST_CODE = 2

_LENGTHS = ((10, 0), (14, 1 << 10), (22, 17 << 10), (30, 4113 << 10))  # bits, and what is added
_SCALES = (11, 11, 12, 16)  # bits of the quantizer's global scale, by its 2-bit selector
_LF_SCALES = (0, 5, 8, 16)  # and of its low-frequency one


def is_file(payload: bytes) -> bool:
    """Whether a payload is a whole file, since nothing could be left out."""
    return payload.startswith((CODESTREAM, CONTAINER[:4]))


def shorten(frames: bytes) -> bytes:
    """The payload of a file that has the usual image header, from what follows that header."""
    for number, header in enumerate(_FRAME_HEADERS):
        if frames.startswith(header) and len(frames) > len(header):
            start = len(header) + _length_size(frames[len(header)] & 3)
            section = frames[start:]
            if frames[len(header) : start] == _length(len(section)):
                prelude, rest = _cut(section)
                return bytes((_FIRST_CODE + number * len(_PRELUDES) + prelude,)) + rest
    return bytes((_NO_FRAME_HEADER,)) + frames


def lengthen(payload: bytes) -> bytes:
    """Exact inverse of `shorten`.

    Raises:
        ValueError: if no file has this payload.
    """
    if not payload:
        raise ValueError("an empty payload")
    if payload[0] == _NO_FRAME_HEADER:
        return payload[1:]
    number, prelude = divmod(payload[0] - _FIRST_CODE, len(_PRELUDES))
    if not 0 <= number < len(_FRAME_HEADERS):
        raise ValueError(f"an unknown first byte, {payload[0]}")
    section = _insert(payload[1:], prelude)
    return _FRAME_HEADERS[number] + _length(len(section)) + section


def _length(size: int) -> bytes:
    """A section's length as a table of contents with one entry has it."""
    selector = next(n for n, (bits, base) in enumerate(_LENGTHS) if size - base < 1 << bits)
    return (selector | (size - _LENGTHS[selector][1]) << 2).to_bytes(
        _length_size(selector), "little"
    )


def _length_size(selector: int) -> int:
    return (2 + _LENGTHS[selector][0] + 7) // 8


def _quantizer_bits(section: bytes) -> int:
    """How many bits come before the prelude: default weights (1 bit) and the quantizer."""
    value = int.from_bytes(section[:6], "little")
    scale = 3 + _SCALES[value >> 1 & 3]
    return scale + 2 + _LF_SCALES[value >> scale & 3]


def _cut(section: bytes) -> tuple[int, bytes]:
    """Number of the longest prelude that the section has, and the section without it.

    A prelude is whole bytes long but starts at any bit.
    """
    whole, bits = divmod(_quantizer_bits(section), 8)
    for number in _LONGEST_FIRST:
        end = whole + len(_PRELUDES[number])
        value = int.from_bytes(section[whole : end + 1], "little")
        high, low = value >> bits, value & ((1 << bits) - 1)
        length = 8 * len(_PRELUDES[number])
        if end < len(section) and high & ((1 << length) - 1) == _value(number):
            seam = high >> length << bits | low
            return number, section[:whole] + bytes((seam,)) + section[end + 1 :]
    return 0, section


def _insert(section: bytes, number: int) -> bytes:
    """Exact inverse of `_cut`."""
    whole, bits = divmod(_quantizer_bits(section), 8)
    if number == 0 or whole >= len(section):
        return section
    seam = section[whole]
    low, high = seam & ((1 << bits) - 1), seam >> bits
    length = 8 * len(_PRELUDES[number])
    value = low | _value(number) << bits | high << (bits + length)
    return (
        section[:whole]
        + value.to_bytes(len(_PRELUDES[number]) + 1, "little")
        + section[whole + 1 :]
    )


def _value(number: int) -> int:
    return int.from_bytes(_PRELUDES[number], "little")
