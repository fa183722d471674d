"""The RIFF container of WebP (RFC 9649), and the frame headers that the image size determines."""

from __future__ import annotations

_LARGEST_SIDE = 16383
_VP8_START = b"\x9d\x01\x2a"
_VP8L_SIGNATURE = 0x2F


def declared_size(data: bytes) -> tuple[int, int]:
    """(height, width) from the first chunk.

    Raises:
        ValueError: if the data is no WebP file.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        raise ValueError("is no WebP file")
    kind, chunk = data[12:16], data[20:]
    if kind == b"VP8X":
        width, height = (int.from_bytes(chunk[at : at + 3], "little") + 1 for at in (4, 7))
        return height, width
    if kind == b"VP8 " and chunk[3:6] == _VP8_START:
        width, height = (int.from_bytes(chunk[at : at + 2], "little") for at in (6, 8))
        return height & 0x3FFF, width & 0x3FFF
    if kind == b"VP8L" and chunk[0] == _VP8L_SIGNATURE:
        bits = int.from_bytes(chunk[1:5], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    raise ValueError("begins with an unknown chunk")


def wrap(body: bytes, height: int, width: int, *, lossless: bool) -> bytes:
    """The file around a body; the inverse of `unwrap`.

    Raises:
        ValueError: if a WebP cannot have that size, or the body is too short.
    """
    if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE) or len(body) < 3:
        raise ValueError(f"no {width}x{height} image has this body")
    if lossless:
        size = (width - 1) | (height - 1) << 14
        kind, frame = b"VP8L", bytes([_VP8L_SIGNATURE]) + size.to_bytes(4, "little") + body
    else:
        sides = width.to_bytes(2, "little") + height.to_bytes(2, "little")
        kind, frame = b"VP8 ", body[:3] + _VP8_START + sides + body[3:]
    padded = frame + b"\0" * (len(frame) % 2)
    chunk = kind + len(frame).to_bytes(4, "little") + padded
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


def unwrap(data: bytes) -> bytes | None:
    """The frame without container, start code and size; None if the file holds anything else."""
    try:
        height, width = declared_size(data)
    except ValueError:
        return None
    length = int.from_bytes(data[16:20], "little")
    frame = data[20 : 20 + length]
    lossless = data[12:16] == b"VP8L"
    body = frame[5:] if lossless else frame[:3] + frame[10:]
    try:
        same = wrap(body, height, width, lossless=lossless) == data
    except ValueError:
        return None
    return body if same and not body.startswith(b"RIFF") else None
