"""The layout of the JPEG files that libjpeg writes, and what is left of a file without it.

A file is a frame header (quantisation tables, size, sampling), then scans. A scan is its Huffman
tables, a header and entropy-coded data. The payload keeps the data of all scans, and the Huffman
tables where they are not the standard ones.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from codecframe import Shape
from codecframe_jpeg.tables import HUFFMAN

SOI, EOI, SOS = b"\xff\xd8", b"\xff\xd9", b"\xff\xda"
_DQT, _DHT, _DRI = b"\xff\xdb\x00\x43", b"\xff\xc4", b"\xff\xdd\x00\x04"
_SHARED = b"\xff\xfe\x00\x10shared Huffman"
"""A comment, by which `split` knows tables that a payload does without from an image's own."""
_JFIF = SOI + b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_BASELINE, _PROGRESSIVE, _ARITHMETIC = b"\xff\xc0", b"\xff\xc2", b"\xff\xc9"
_SCAN_END = re.compile(rb"\xff[\xc4\xda]")  # within the data of a scan, 00 or D0 to D7 follow FF

_NUMBERS = (0x00, 0x01, 0x10, 0x11)
"""Huffman tables: DC luma, DC chroma, AC luma, AC chroma."""
_LUMA, _ALL = (0,), (0, 1, 2)
_Pass = tuple[tuple[int, ...], int, int, int, int]
_SEQUENTIAL: tuple[_Pass, ...] = ((_ALL, 0, 63, 0, 0),)
_PASSES: tuple[_Pass, ...] = (
    # components, first and last coefficient, lowest bit known before, lowest bit known after
    (_ALL, 0, 0, 0, 1),
    (_LUMA, 1, 5, 0, 2),
    ((2,), 1, 63, 0, 1),
    ((1,), 1, 63, 0, 1),
    (_LUMA, 6, 63, 0, 2),
    (_LUMA, 1, 63, 2, 1),
    (_ALL, 0, 0, 1, 0),
    ((2,), 1, 63, 1, 0),
    ((1,), 1, 63, 1, 0),
    (_LUMA, 1, 63, 1, 0),
)
"""The scans of a progressive file. Greyscale has those that contain luma."""


class Layout(NamedTuple):
    """The part of a file that settings determine.

    Attributes:
        quantisation: tables in zigzag order: one for greyscale, two (luma, chroma) for colour.
        sampling: luma samples for one of chroma, horizontal in the high digit, vertical in the low.
        progressive: whether there are several scans.
        arithmetic: whether the one scan is arithmetic-coded: there are no Huffman tables.
        own_huffman: whether scans bring Huffman tables of their own.
        restart: blocks (MCUs) between restart markers, or 0.
        shared_huffman: tables that both ends know, in the place of the standard ones, or none:
            DC before AC, luma before chroma; 16 counts, then symbols.
    """

    quantisation: tuple[bytes, ...]
    sampling: int
    progressive: bool
    arithmetic: bool
    own_huffman: bool
    restart: int
    shared_huffman: tuple[bytes, ...] = ()

    @property
    def components(self) -> int:
        """1 for greyscale, 3 for colour."""
        return 2 * len(self.quantisation) - 1


class Scan(NamedTuple):
    """What a layout determines of a scan: which Huffman tables it brings, and its header."""

    tables: tuple[int, ...]
    header: bytes


# -- file and payload ------------------------------------------------------------------------


def join(layout: Layout, shape: Shape, payload: bytes) -> bytes:
    """The file that has this payload.

    Raises:
        ValueError: if no file has this payload.
    """
    parts, position = [frame_header(layout, shape)], 0
    plan = scans(layout)
    for number, scan in enumerate(plan, start=1):
        for table in scan.tables:
            segment, position = _expanded(payload, position, table)
            parts.append(segment)
        end = len(payload) if number == len(plan) else payload.find(SOS, position)
        if end <= position:
            raise ValueError(f"a payload without scan {number} of {len(plan)}")
        parts += scan.header, payload[position:end]
        position = end + len(SOS)
    parts.append(EOI)
    return b"".join(parts)


def split(data: bytes) -> tuple[Layout, Shape, bytes]:
    """Inverse of `join`.

    Raises:
        ValueError: if `join` would give another file.
    """
    try:
        layout, shape = _described(data)
        payload = _body(data, layout, len(frame_header(layout, shape)))
        same = join(layout, shape, payload) == data
    except (IndexError, struct.error):
        same = False
    if not same:
        raise ValueError("not laid out as libjpeg does")
    return layout, shape, payload


def _described(data: bytes) -> tuple[Layout, Shape]:
    """Layout and size that a file declares, if it is laid out as ours."""
    tables: list[bytes] = []
    position = len(_JFIF)
    shared = data.startswith(_SHARED, position)
    if shared:
        position += len(_SHARED)
    while data.startswith(_DQT + bytes([len(tables)]), position):
        tables.append(data[position + 5 : position + 69])
        position += 69
    marker, height, width, components, sampling = struct.unpack_from(">2s3xHHBxB", data, position)
    position += 10 + 3 * components
    first_scan = data.find(SOS, position)
    restart = data[first_scan - 6 : first_scan]
    arithmetic, usual = marker == _ARITHMETIC, _segments(_standard(components))
    layout = Layout(
        quantisation=tuple(tables),
        sampling=sampling,
        progressive=marker == _PROGRESSIVE,
        arithmetic=arithmetic,
        own_huffman=not (arithmetic or shared or data.startswith(usual, position)),
        restart=int.from_bytes(restart[4:], "big") if restart.startswith(_DRI) else 0,
        shared_huffman=_tables(data, position, first_scan) if shared else (),
    )
    return layout, (height, width)


def _body(data: bytes, layout: Layout, position: int) -> bytes:
    """The payload of a file whose scans start at `position`."""
    parts = []
    plan = scans(layout)
    for number, scan in enumerate(plan, start=1):
        for _ in scan.tables:
            table, position = _compact(data, position)
            parts.append(table)
        position += len(scan.header)
        if number == len(plan):
            parts.append(data[position : -len(EOI)])
        else:
            found = _SCAN_END.search(data, position)
            end = found.start() if found else len(data)
            parts += data[position:end], SOS
            position = end
    return b"".join(parts)


# -- segments -----------------------------------------------------------------------------


@lru_cache(maxsize=256)
def frame_header(layout: Layout, shape: Shape) -> bytes:
    """All that comes before the scans."""
    quantisation = [_DQT + bytes([i]) + table for i, table in enumerate(layout.quantisation)]
    count = layout.components
    samplings = [layout.sampling, 0x11, 0x11]
    components = [bytes([i + 1, samplings[i], min(i, 1)]) for i in range(count)]
    marker = _PROGRESSIVE if layout.progressive else _BASELINE
    if layout.arithmetic:
        marker = _ARITHMETIC
    frame = struct.pack(">2sHBHHB", marker, 8 + 3 * count, 8, *shape, count)
    comment = _SHARED if layout.shared_huffman else b""
    return b"".join([_JFIF, comment, *quantisation, frame, *components])


@lru_cache(maxsize=256)
def up_to_data(layout: Layout, shape: Shape) -> bytes:
    """All that comes before the data of a file with the standard Huffman tables."""
    return frame_header(layout, shape) + scans(layout)[0].header


@lru_cache(maxsize=256)
def scans(layout: Layout) -> tuple[Scan, ...]:
    """The scans of a file, in order."""
    passes = _PASSES if layout.progressive else _SEQUENTIAL
    if layout.components == 1:
        passes = tuple((_LUMA, *each[1:]) for each in passes if 0 in each[0])
    found = [_scan(*each) for each in passes]
    known = layout.shared_huffman or _standard(layout.components)
    before = b"" if layout.own_huffman or layout.arithmetic else _segments(known)
    if layout.restart:
        before += _DRI + struct.pack(">H", layout.restart)
    first = Scan(found[0].tables if layout.own_huffman else (), before + found[0].header)
    return (first, *found[1:])


def _scan(components: Sequence[int], first: int, last: int, before: int, after: int) -> Scan:
    """A scan of some bits of the coefficients `first` to `last`."""
    needs_dc, needs_ac = first == 0 and before == 0, last > 0
    selectors: list[bytes] = []
    tables: list[int] = []
    for component in components:
        number = min(component, 1)  # chroma shares its tables
        selectors.append(bytes([component + 1, number * (needs_dc << 4 | needs_ac)]))
        tables += [number] * needs_dc + [0x10 | number] * needs_ac
    header = SOS + struct.pack(">HB", 6 + 2 * len(components), len(components))
    end = bytes([first, last, before << 4 | after])
    return Scan(tuple(dict.fromkeys(tables)), b"".join([header, *selectors, end]))


def _standard(components: int) -> tuple[bytes, ...]:
    """The standard Huffman tables, in the order of `Layout.shared_huffman`."""
    numbers = _NUMBERS if components > 1 else _NUMBERS[::2]
    return tuple(HUFFMAN[number] for number in numbers)


def _segments(tables: Sequence[bytes]) -> bytes:
    """The segments of all Huffman tables of a file, in the order in which libjpeg writes them."""
    numbers = _NUMBERS if len(tables) > 2 else _NUMBERS[::2]
    by_number = dict(zip(numbers, tables, strict=True))
    return b"".join(
        _DHT + struct.pack(">HB", 3 + len(by_number[number]), number) + by_number[number]
        for number in HUFFMAN
        if number in by_number
    )


def _tables(data: bytes, position: int, end: int) -> tuple[bytes, ...]:
    """The tables in the segments from `position` to `end`."""
    found = {}
    while data.startswith(_DHT, position) and position < end:
        length, number = struct.unpack_from(">HB", data, position + 2)
        found[number] = data[position + 5 : position + 2 + length]
        position += 2 + length
    return tuple(found[number] for number in _NUMBERS if number in found)


# -- Huffman tables in a payload: counts up to the longest code in use, then symbols ----------


def _compact(data: bytes, position: int) -> tuple[bytes, int]:
    """A Huffman table's segment, in its compact form, and where the segment ends."""
    counts = data[position + 5 : position + 21].rstrip(b"\0")
    end = position + 21 + sum(counts)
    return bytes([len(counts)]) + counts + data[position + 21 : end], end


def _expanded(payload: bytes, position: int, number: int) -> tuple[bytes, int]:
    """The segment of a Huffman table in compact form, and where that form ends."""
    start = position + 1
    longest = payload[position] if position < len(payload) else 0
    counts = payload[start : start + longest]
    symbols = payload[start + longest : start + longest + sum(counts)]
    if not 1 <= longest <= 16 or len(counts) + len(symbols) != longest + sum(counts):
        raise ValueError("a payload with a damaged Huffman table")
    header = _DHT + struct.pack(">HB", 19 + len(symbols), number)
    return header + counts.ljust(16, b"\0") + symbols, start + longest + len(symbols)
