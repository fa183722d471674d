"""The marker segments of a JPEG (ITU-T T.81, Annex B), as far as the codec needs them."""

from __future__ import annotations

from dataclasses import dataclass

BASELINE = 0xC0
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_SCAN = 0xDA
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers without a segment: TEM, restarts, start of image."""


@dataclass(frozen=True)
class FrameHeader:
    """What the frame header says, and where it ends in the data."""

    kind: int
    bits: int
    height: int
    width: int
    components: int
    end: int


def frame_header(data: bytes) -> FrameHeader:
    """Find and read the frame header.

    Raises:
        ValueError: if the data is no JPEG or ends before it.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("is no JPEG")
    for marker, start, end in _segments(data, 2):
        if marker in _FRAMES and end - start >= 8:
            height = int.from_bytes(data[start + 3 : start + 5], "big")
            width = int.from_bytes(data[start + 5 : start + 7], "big")
            return FrameHeader(marker, data[start + 2], height, width, data[start + 7], end)
        if marker == _SCAN:
            break
    raise ValueError("has no frame header")


def scan_segment(data: bytes, start: int) -> int:
    """Where the first scan header after `start` begins.

    Raises:
        ValueError: if there is none.
    """
    for marker, begin, _ in _segments(data, start):
        if marker == _SCAN:
            return begin - 2
    raise ValueError("has no scan")


def scan_start(data: bytes, start: int) -> int:
    """Where the entropy-coded data of the first scan after `start` begins.

    Raises:
        ValueError: if there is none.
    """
    for marker, _, end in _segments(data, start):
        if marker == _SCAN:
            return end
    raise ValueError("has no scan")


def with_size(header: bytes, height: int, width: int) -> bytes:
    """The header with another image size in its frame header.

    Raises:
        ValueError: if the size is none that JPEG can have.
    """
    if not (0 < height < 65536 and 0 < width < 65536):
        raise ValueError(f"a JPEG cannot be {width}x{height}")
    for marker, start, _ in _segments(header, 2):
        if marker in _FRAMES:
            size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
            return header[: start + 3] + size + header[start + 7 :]
    raise ValueError("has no frame header")


def _segments(data: bytes, position: int) -> list[tuple[int, int, int]]:
    """(marker, start of the segment with its length, end), up to the first scan header.

    Raises:
        ValueError: if a segment is damaged.
    """
    found = []
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise ValueError("has damaged segments")
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _ALONE:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        end = position + 2 + length
        if length < 2 or end > len(data):
            raise ValueError("is truncated")
        found.append((marker, position + 2, end))
        if marker == _SCAN:
            break
        position = end
    return found
