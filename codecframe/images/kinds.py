"""The format of a file by its first bytes: suffixes may be wrong (HEIC called `.jpg`) or vary."""

from __future__ import annotations

HEAD = 64
"""Bytes that are looked at."""

_BEGINNINGS = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\x0a", ".jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", ".jxl"),
    (b"\xff\x4f\xff\x51", ".j2k"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", ".j2k"),
)
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF = {b"avif", b"avis"}

TOLD = frozenset({*(suffix for _, suffix in _BEGINNINGS), ".webp", ".avif", ".heic"})
"""The suffixes that the beginning of a file tells."""

_USUAL = {".jpg": ".jpeg .jpe .jfif", ".heic": ".heif .hif", ".j2k": ".jp2 .j2c .jpc .jpf .jpx"}
OTHER_SUFFIXES = {other: usual for usual, others in _USUAL.items() for other in others.split()}
"""Other spellings of the suffixes of codecs."""


def suffix_of(head: bytes) -> str | None:
    """The usual suffix of a file that begins so; None where the beginning says nothing."""
    for beginning, suffix in _BEGINNINGS:
        if head.startswith(beginning):
            return suffix
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[at : at + 4] for at in (8, *range(16, length, 4))}
        if brands & _AVIF:
            return ".avif"
        if brands & _HEIC or head[8:12] in (b"mif1", b"msf1"):
            return ".heic"
    return None


def usual_suffix(suffix: str) -> str:
    """A file name's suffix in lower case, in the spelling that codecs have."""
    suffix = suffix.lower()
    return OTHER_SUFFIXES.get(suffix, suffix)
