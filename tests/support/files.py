"""Image files of kinds that ordinary writers do not write, made byte by byte."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image as PilImage

_TAG_TYPES = {1: "B", 3: "H", 4: "I"}


def saved(image: PilImage.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def member(tar: tarfile.TarFile, of: str | tarfile.TarInfo) -> bytes:
    """What a file in a tar archive holds."""
    file = tar.extractfile(of)
    assert file is not None, f"{of} is not a regular file"
    return file.read()


def tiff(
    planes: Sequence[bytes],
    shape: tuple[int, int],
    *,
    bits: int,
    channels: int = 1,
    photometric: int = 1,
    sample_format: int = 1,
    extra: tuple[int, ...] = (),
    colours: Sequence[int] = (),
    compressed: bool = False,
    more: dict[int, tuple[int, int]] | None = None,
) -> bytes:
    """A little-endian TIFF; each plane becomes a strip. `more`: tag -> (type, value)."""
    height, width = shape
    strips = [zlib.compress(plane) if compressed else plane for plane in planes]
    start = 8
    offsets = []
    for strip in strips:
        offsets.append(start)
        start += len(strip)
    tags: dict[int, tuple[int, Sequence[int]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * channels),
        259: (3, [8 if compressed else 1]),
        262: (3, [photometric]),
        273: (4, offsets),
        277: (3, [channels]),
        278: (4, [height]),
        279: (4, [len(strip) for strip in strips]),
        284: (3, [1 if len(planes) == 1 else 2]),
        339: (3, [sample_format] * channels),
    }
    if extra:
        tags[338] = (3, extra)
    if colours:
        tags[320] = (3, colours)
    for tag, (kind, value) in (more or {}).items():
        tags[tag] = (kind, [value])
    payload = b"".join(strips)
    directory = struct.pack("<H", len(tags))
    after = 8 + len(payload) + 2 + 12 * len(tags) + 4
    far = b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{_TAG_TYPES[kind]}", *values)
        if len(packed) > 4:
            where = struct.pack("<I", after + len(far))
            far += packed
        else:
            where = packed.ljust(4, b"\0")
        directory += struct.pack("<HHI", tag, kind, len(values)) + where
    return b"II*\0" + struct.pack("<I", 8 + len(payload)) + payload + directory + bytes(4) + far


def png(
    rows: np.ndarray, bits: int, colour: int, *chunks: tuple[bytes, bytes], interlaced: int = 0
) -> bytes:
    """A PNG of packed rows, `uint8`, (height, bytes of a row); the width is 8 / bits of grey."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    width = rows.shape[1] * 8 // (bits * channels)
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, interlaced)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(payload))
        + kind
        + payload
        + struct.pack(">I", zlib.crc32(kind + payload))
        for kind, payload in parts
    )


def bmp32(pixels: np.ndarray) -> bytes:
    """A BMP with a V4 header that declares an alpha channel; `uint8`, (height, width, 4), RGBA."""
    height, width = pixels.shape[:2]
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, 0, 0, 0, 0, 0)
    header += masks + b"BGRs" + bytes(48)
    start = 14 + len(header)
    payload = pixels[::-1, :, [2, 1, 0, 3]].tobytes()
    return b"BM" + struct.pack("<IHHI", start + len(payload), 0, 0, start) + header + payload


def tga32(pixels: np.ndarray, alpha_bits: int) -> bytes:
    """A TGA of 32 bits a pixel; `uint8`, (height, width, 4), RGBA."""
    height, width = pixels.shape[:2]
    header = struct.pack("<BBB5xHHHHBB", 0, 0, 2, 0, 0, width, height, 32, 0x20 | alpha_bits)
    return header + pixels[:, :, [2, 1, 0, 3]].tobytes()


def scans(count: int, side: int = 64) -> bytes:
    """A progressive JPEG of one colour with `count` scans."""

    def segment(marker: int, payload: bytes) -> bytes:
        return b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(payload)) + payload

    blocks = (side // 8) ** 2
    frame = struct.pack(">BHHB", 8, side, side, 1) + b"\x01\x11\x00"
    one_code = bytes([1] + [0] * 15)
    first = segment(0xDA, b"\x01\x01\x00\x00\x00\x01") + _padded("0" * blocks)
    refinement = segment(0xDA, b"\x01\x01\x00\x01\x3f\x10") + _padded("0" * blocks)
    start = segment(0xDA, b"\x01\x01\x00\x01\x3f\x01") + _padded("0" * blocks)
    return (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + b"\x01" * 64)
        + segment(0xC2, frame)
        + segment(0xC4, b"\x00" + one_code + b"\x00")
        + segment(0xC4, b"\x10" + one_code + b"\x00")  # the end of a block
        + first
        + start
        + refinement * (count - 2)
        + b"\xff\xd9"
    )


def _padded(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")


def tiles(width: int, height: int, tile: int, parts: int) -> bytes:
    """A JPEG 2000 codestream that declares tiles; the first `parts` are there, and empty."""
    size = struct.pack(">H8IH", 0, width, height, 0, 0, tile, tile, 0, 0, 1) + b"\x07\x01\x01"
    coding = b"\0\0\0\x01\0\x00\x04\x04\0\0"
    quantised = b"\x40\x40"
    header = b"\xff\x4f"
    for marker, payload in ((0x51, size), (0x52, coding), (0x5C, quantised)):
        header += b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(payload)) + payload
    payload = b"".join(
        struct.pack(">HHHIBBH", 0xFF90, 10, number, 15, 0, 1, 0xFF93) + b"\0"
        for number in range(parts)
    )
    return header + payload + b"\xff\xd9"
