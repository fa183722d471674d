"""The RIFF container of WebP, and the headers of the two bitstreams in it.

A file is `RIFF`, a size, `WEBP`, then chunks: four letters, a size, a payload, a zero byte if the
payload is odd. The files of our encoders have one chunk.
"""

from __future__ import annotations

import struct

from codecframe import Shape

LOSSY, LOSSLESS, _EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
_KEY_FRAME = b"\x9d\x01\x2a"
_LOSSLESS_SIGN = 0x2F
_START = struct.Struct("<4sI4s4s4x3x3sHH")  # of a lossy file


def is_file(data: bytes) -> bool:
    """Whether data looks like a WebP file."""
    return data.startswith(b"RIFF")


def wrap(kind: bytes, payload: bytes) -> bytes:
    """A file of one chunk."""
    return _riff(_chunk(kind, payload))


def unwrap(kind: bytes, data: bytes) -> bytes:
    """Inverse of `wrap`.

    Raises:
        ValueError: if it is not a WebP file of one chunk.
    """
    payload = data[20 : 20 + int.from_bytes(data[16:20], "little")]
    if wrap(kind, payload) != data:
        raise ValueError("not a file of one chunk")
    return payload


def with_note(data: bytes) -> bytes:
    """The same picture in a file of two chunks; decoders skip the second."""
    return _riff(data[12:] + _chunk(b"NOTE", b"other layout"))


def declared_shape(data: bytes) -> Shape:
    """The image size, or that of the canvas of an animation.

    Raises:
        ValueError: if it is not a WebP file, or cut short.
    """
    if len(data) < _START.size:
        raise ValueError("cut short")
    riff, size, webp, kind, key_frame, width, height = _START.unpack_from(data)
    if riff != b"RIFF" or webp != b"WEBP":
        raise ValueError("not a WebP file")
    if len(data) < 8 + size:
        raise ValueError("cut short")
    if kind == LOSSY and key_frame == _KEY_FRAME:
        return height & 0x3FFF, width & 0x3FFF
    start = data[20:30]
    if kind == LOSSLESS and start[0] == _LOSSLESS_SIGN:
        bits = int.from_bytes(start[1:5], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == _EXTENDED:
        width, height = (int.from_bytes(start[i : i + 3], "little") + 1 for i in (4, 7))
        return height, width
    raise ValueError(f"no image header in its first chunk, {kind!r}")


# -- lossy: a frame tag with the size of the first partition, a start code, the size, the
# -- partitions. libwebp ends them in zero bytes, at least one, and makes their length even -----


def without_lossy_header(payload: bytes) -> bytes:
    """The payload of a lossy bitstream: size of the first partition (varint), all partitions.

    Of the zero bytes at the end, z where there are 2z + 1 or 2z + 2: the even length tells which.

    Raises:
        ValueError: if it is not a key frame as our encoders write it, of any profile.
    """
    tag, partitions = int.from_bytes(payload[:3], "little"), payload[10:]
    content = partitions.rstrip(b"\0")
    zeros = len(partitions) - len(content)
    if tag & 0x11 != 0x10 or payload[3:6] != _KEY_FRAME or not zeros or len(partitions) % 2:
        raise ValueError("not a shown key frame, ended as libwebp does")
    return _varint(tag >> 5) + content + bytes((zeros - 1) // 2)


def with_lossy_header(payload: bytes, profile: int, shape: Shape) -> bytes:
    """Inverse of `without_lossy_header`.

    Raises:
        ValueError: if no bitstream gives this payload.
    """
    first_partition, start = _read_varint(payload)
    if first_partition >= 1 << 19:
        raise ValueError("an impossible partition")
    tag = first_partition << 5 | 0x10 | profile << 1
    height, width = shape
    header = tag.to_bytes(3, "little") + _KEY_FRAME + struct.pack("<HH", width, height)
    content = payload[start:].rstrip(b"\0")
    zeros = len(payload) - start - len(content)
    return header + content + bytes(2 * zeros + 2 - len(content) % 2)


# -- lossless: a sign, the size, no alpha, version 0 ---------------------------------------


def without_lossless_header(payload: bytes) -> bytes:
    """The payload of a lossless bitstream.

    Raises:
        ValueError: if it has another header than our encoders write.
    """
    if payload[:1] != bytes([_LOSSLESS_SIGN]) or payload[4] >> 4:
        raise ValueError("alpha, or another version")
    return payload[5:]


def with_lossless_header(payload: bytes, shape: Shape) -> bytes:
    """Inverse of `without_lossless_header`."""
    height, width = shape
    bits = height - 1 << 14 | width - 1
    return struct.pack("<BI", _LOSSLESS_SIGN, bits) + payload


# -- bytes --------------------------------------------------------------------------------


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)


def _varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the high bit says that more follow."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _read_varint(payload: bytes) -> tuple[int, int]:
    """A number of at most three bytes, and where it ends."""
    value = 0
    for position, byte in enumerate(payload[:3]):
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return value, position + 1
    raise ValueError("a payload without its first number")
