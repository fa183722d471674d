"""The AVIF container, written the same way for every image so that a receiver can rebuild it."""

from __future__ import annotations

import struct
from functools import lru_cache

from codecframe_avif.bitstream import SRGB, SequenceHeader

UNEXPECTED = b"\0\0\0\x08free"
"""An empty box that ends a file whose sequence header its settings and size did not promise."""

_LOCATION_SIZE = 30


def wrap(header: SequenceHeader, item: bytes) -> bytes:
    """An AVIF file (ISO/IEC 23000-22) around the AV1 data of one image."""
    before = _up_to_location(header)
    data_start = len(before) + _LOCATION_SIZE + 8
    # 4-byte offsets and lengths; one item, number 1, in this file, in one extent
    location = struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, data_start, len(item))
    return before + _full_box(b"iloc", location) + _box(b"mdat", item)


@lru_cache(maxsize=256)
def _up_to_location(header: SequenceHeader) -> bytes:
    """The file up to the one box of `meta` that depends on the length of the data."""
    brands = [b"avif", b"mif1", b"miaf"]
    if not header.monochrome and header.profile < 2:
        brands.append((b"MA1B", b"MA1A")[header.profile])
    channels = 1 if header.monochrome else 3
    properties = (
        _full_box(b"ispe", struct.pack(">II", header.width, header.height))
        + _full_box(b"pixi", bytes((channels,)) + b"\x08" * channels)
        + _box(b"av1C", header.configuration)
        + _box(b"colr", b"nclx" + struct.pack(">HHHB", *SRGB, header.full_range << 7))
    )
    # item 1 has the four properties above; the third is essential
    associations = struct.pack(">IHB", 1, 1, 4) + bytes((1, 2, 0x80 | 3, 4))
    children = (
        _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
        + _box(b"iprp", _box(b"ipco", properties) + _full_box(b"ipma", associations))
        + _full_box(b"pitm", struct.pack(">H", 1))
        + _full_box(b"iinf", struct.pack(">H", 1) + _full_box(b"infe", _ITEM, version=2))
    )
    meta = struct.pack(">I4sI", 12 + len(children) + _LOCATION_SIZE, b"meta", 0)
    return _box(b"ftyp", b"avif" + bytes(4) + b"".join(brands)) + meta + children


_ITEM = struct.pack(">HH4sx", 1, 0, b"av01")  # number 1, unprotected, AV1, no name


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def _full_box(kind: bytes, payload: bytes, *, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24) + payload)
