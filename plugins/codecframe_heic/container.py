"""A HEIC file taken apart: what comes before the coded slice, and the slice.

Everything before it (boxes, and the HEVC parameter sets in one of them) is determined by settings
and image size, but for three lengths.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from codecframe.core import isobmff

UNEXPECTED = b"\0\0\0\x08free"
"""An empty box that ends a file whose beginning its settings and size did not promise."""


@dataclass(frozen=True)
class Head:
    """A file up to its slice, with zeros in place of the lengths.

    `location` is where the length of the image data stands in the item location box.
    """

    data: bytes
    location: int


def split(data: bytes) -> tuple[Head, bytes]:
    """The head and the slice of a file with one image of one slice, as libheif writes it.

    Raises:
        ValueError: if the file has another form.
    """
    whole = isobmff.Box(b"", 0, len(data))
    location = isobmff.child(data, isobmff.child(data, whole, b"meta"), b"iloc", skip=4).end - 4
    media = isobmff.child(data, whole, b"mdat")
    head = bytearray(data[: media.start + 4])
    head[location : location + 4] = bytes(4)
    head[media.start - 8 : media.start - 4] = bytes(4)
    head[media.start :] = bytes(4)
    found = Head(bytes(head), location)
    coded = data[media.start + 4 : media.end]
    if join(found, coded) != data:
        raise ValueError("not a file with a single slice")
    return found, coded


def join(head: Head, coded: bytes) -> bytes:
    """Inverse of `split`."""
    data = bytearray(head.data)
    struct.pack_into(">I", data, head.location, len(coded) + 4)
    struct.pack_into(">I", data, len(data) - 12, len(coded) + 12)
    struct.pack_into(">I", data, len(data) - 4, len(coded))
    return bytes(data) + coded


def is_file(payload: bytes) -> bool:
    """Whether a payload is a whole file and not a slice."""
    return payload[4:8] == b"ftyp"
