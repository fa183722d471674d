"""The chunks of a PNG file: a size, four letters, a payload and a checksum each."""

from __future__ import annotations

import struct
import zlib

from codecframe import Shape

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DATA_CHUNK = 8192  # libpng's
_OVERHEAD = 12  # of a chunk
_RGB8 = bytes([8, 2, 0, 0, 0])  # bits, colour, and the only compression, filters, no interlacing
_HEADER_END = len(SIGNATURE) + _OVERHEAD + 13


def declared_shape(data: bytes) -> Shape:
    """The image size.

    Raises:
        ValueError: if it is not a PNG file, or cut short in its header.
    """
    if not data.startswith(SIGNATURE) or data[12:16] != b"IHDR" or len(data) < _HEADER_END:
        raise ValueError("not a PNG file")
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def join(shape: Shape, stream: bytes) -> bytes:
    """The file of an 8-bit RGB image that has this zlib stream."""
    height, width = shape
    starts = range(0, len(stream), _DATA_CHUNK)
    return b"".join(
        [
            SIGNATURE,
            chunk(b"IHDR", struct.pack(">II", width, height) + _RGB8),
            *(chunk(b"IDAT", stream[start : start + _DATA_CHUNK]) for start in starts),
            chunk(b"IEND", b""),
        ]
    )


def split(data: bytes) -> tuple[Shape, bytes]:
    """Inverse of `join`.

    Raises:
        ValueError: if `join` would give another file.
    """
    shape = declared_shape(data)
    starts = range(_HEADER_END, len(data) - _OVERHEAD, _DATA_CHUNK + _OVERHEAD)
    end = len(data) - _OVERHEAD
    parts = [data[at + 8 : min(at + 8 + _DATA_CHUNK, end - 4)] for at in starts]
    stream = b"".join(parts)
    if join(shape, stream) != data:
        raise ValueError("chunks that libpng writes otherwise")
    return shape, stream


def chunk(kind: bytes, payload: bytes) -> bytes:
    """A chunk with its length and checksum."""
    checksum = zlib.crc32(kind + payload)
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checksum)
