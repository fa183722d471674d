"""The entropy-coded data of a baseline scan (ITU-T T.81, annex F), for many images at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codecframe_jpeg.coefficients import Blocks
from codecframe_jpeg.huffman import codes

I64 = npt.NDArray[np.int64]

_PLACES = 320
"""Order keys of a block: the DC difference at 0, up to four for each AC coefficient, the end."""
_WINDOW = 40
"""A symbol's code and its bits, 27 at most, lie in five bytes wherever they start."""


@dataclass(frozen=True)
class Symbols:
    """What is coded, one entry a symbol, image by image in the order of the scan.

    Attributes:
        images: number of images.
        image: which image an entry belongs to.
        table: its table: 0 and 1 for DC, 2 and 3 for AC, luma and chroma.
        symbol: what the table codes.
        value, size: the bits that follow the code, and how many there are.
    """

    images: int
    image: I64
    table: I64
    symbol: I64
    value: I64
    size: I64

    def counts(self) -> list[I64]:
        """How often each symbol of each table occurs, (256,)."""
        return [np.bincount(self.symbol[self.table == table], minlength=256) for table in range(4)]


def symbols_of(blocks: Blocks) -> Symbols:
    """The symbols of images' blocks."""
    values, chroma = blocks.values, (blocks.components > 0).astype(np.int64)
    count = len(values)
    image, block, place = np.nonzero(values[:, :, 1:])
    place += 1
    coefficient = values[image, block, place]
    size = _size(coefficient)
    run = place - _place_before(image, block, place) - 1
    key = block * _PLACES + 4 * place
    parts = [_differences(blocks)]
    for number in range(3):  # runs of 16 zeros, before the coefficient
        at = np.flatnonzero(run >> 4 > number)
        zeros = np.zeros(len(at), np.int64)
        table = 2 + chroma[block[at]]
        parts.append((image[at], key[at] + number, table, zeros + 0xF0, zeros, zeros))
    symbol = (run & 15) << 4 | size
    parts.append((image, key + 3, 2 + chroma[block], symbol, _bits(coefficient, size), size))
    last = np.zeros(values.shape[:2], np.int64)
    np.maximum.at(last, (image, block), place)
    image, block = np.nonzero(last < 63)  # the end of a block whose last coefficient is zero
    zeros = np.zeros(len(image), np.int64)
    end = block * _PLACES + _PLACES - 1
    parts.append((image, end, 2 + chroma[block], zeros, zeros, zeros))
    image, key, table, symbol, value, size = map(np.concatenate, zip(*parts, strict=True))
    order = np.lexsort((key, image))
    return Symbols(count, image[order], table[order], symbol[order], value[order], size[order])


def _differences(blocks: Blocks) -> tuple[I64, ...]:
    """Entries of the DC differences, with their order keys."""
    count, each, _ = blocks.values.shape
    difference = np.empty((count, each), np.int64)
    for component in range(3):
        of_it = np.flatnonzero(blocks.components == component)
        difference[:, of_it] = np.diff(blocks.values[:, of_it, 0], axis=1, prepend=0)
    flat = difference.ravel()
    size = _size(flat)
    image, block = np.divmod(np.arange(count * each), each)
    table = (blocks.components[block] > 0).astype(np.int64)
    return image, block * _PLACES, table, size, _bits(flat, size), size


def _place_before(image: I64, block: I64, place: I64) -> I64:
    """Place of the coefficient before each one in its block, 0 for the first."""
    before = np.zeros_like(place)
    same = (image[1:] == image[:-1]) & (block[1:] == block[:-1])
    before[1:] = np.where(same, place[:-1], 0)
    return before


def _size(value: I64) -> I64:
    """Bits of the magnitude."""
    return np.frexp(np.abs(value).astype(np.float32))[1].astype(np.int64)


def _bits(value: I64, size: I64) -> I64:
    """The bits that tell values of a size apart."""
    return np.where(value < 0, value + (1 << size) - 1, value)


def coded(symbols: Symbols, tables: Sequence[bytes]) -> list[bytes]:
    """The data of each image's scan; `tables` are DC luma, DC chroma, AC luma, AC chroma."""
    code, length = (np.stack(part) for part in zip(*map(codes, tables), strict=True))
    which = symbols.table, symbols.symbol
    bits = length[which] + symbols.size
    word = code[which] << symbols.size | symbols.value
    of_image = np.bincount(symbols.image, bits, symbols.images).astype(np.int64)
    sizes = (of_image + 7) // 8
    starts = np.cumsum(sizes) - sizes
    within = np.cumsum(bits) - bits - (np.cumsum(of_image) - of_image)[symbols.image]
    at = within + 8 * starts[symbols.image]
    word <<= _WINDOW - bits - at % 8
    data = np.zeros(int(sizes.sum()) + 8)
    for number in range(_WINDOW // 8):  # bits of symbols do not overlap: adding sets them
        piece = word >> (_WINDOW - 8 - 8 * number) & 0xFF
        data += np.bincount(at // 8 + number, piece, len(data))
    data[starts + sizes - 1] += (1 << (8 * sizes - of_image)) - 1  # filled up with ones
    whole = data.astype(np.uint8).tobytes()
    return [
        whole[start : start + size].replace(b"\xff", b"\xff\x00")
        for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)
    ]
