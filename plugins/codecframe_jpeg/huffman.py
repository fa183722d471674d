"""Huffman tables: made from counts, checked, and as codes (ITU-T T.81, annexes C and K.2).

A table is 16 counts, of the codes of 1 to 16 bits, and then the symbols by rising length.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]

DC_SYMBOLS = tuple(range(12))
"""Sizes of DC differences in baseline files of 8 bits."""
AC_SYMBOLS = (0x00, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 11)))
"""Runs and sizes of AC coefficients, the end of a block, and a run of 16 zeros."""
KINDS = (DC_SYMBOLS, DC_SYMBOLS, AC_SYMBOLS, AC_SYMBOLS)
"""Symbols of a file's tables: DC luma, DC chroma, AC luma, AC chroma."""
_LONGEST = 16


def problem(table: Sequence[int], symbols: Sequence[int]) -> str | None:
    """What is wrong with a table for these symbols, or None."""
    counts, found = table[:_LONGEST], table[_LONGEST:]
    if len(counts) < _LONGEST or sum(counts) != len(found):
        return "16 counts and as many symbols as they say"
    if set(found) != set(symbols) or len(set(found)) != len(found):
        return f"a code for each of the {len(symbols)} symbols"
    if sum(count << (_LONGEST - length) for length, count in enumerate(counts, 1)) >= 1 << _LONGEST:
        return "counts that make a prefix code without the code of all ones"
    return None


@lru_cache(maxsize=64)
def codes(table: bytes) -> tuple[I64, I64]:
    """(code, length in bits) of each symbol, (256,); length 0 where there is none."""
    code, length = np.zeros(256, np.int64), np.zeros(256, np.int64)
    following, place = 0, _LONGEST
    for bits, count in enumerate(table[:_LONGEST], 1):
        for _ in range(count):
            code[table[place]], length[table[place]] = following, bits
            following, place = following + 1, place + 1
        following <<= 1
    return code, length


def made_from(counts: Sequence[int], symbols: Sequence[int]) -> tuple[int, ...]:
    """The best table for `counts`, indexed by symbol; all `symbols` get a code.

    Codes longer than 16 bits are shortened as annex K.2 does.
    """
    depths = _depths({symbol: max(1, 1024 * int(counts[symbol])) for symbol in symbols})
    lengths = [0] * (max(*depths.values(), _LONGEST) + 1)
    for depth in depths.values():
        lengths[depth] += 1
    for long in range(len(lengths) - 1, _LONGEST, -1):
        while lengths[long]:
            short = long - 2
            while not lengths[short]:
                short -= 1
            lengths[long] -= 2
            lengths[long - 1] += 1
            lengths[short + 1] += 2
            lengths[short] -= 1
    longest = max(bits for bits in range(1, _LONGEST + 1) if lengths[bits])
    lengths[longest] -= 1  # the place of all ones, which stays free
    order = sorted(symbols, key=lambda symbol: (depths[symbol], symbol))
    return (*lengths[1 : _LONGEST + 1], *order)


def tables_from(counts: Iterable[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """The best tables of a file, in the order of `KINDS`."""
    return tuple(made_from(each, kind) for each, kind in zip(counts, KINDS, strict=True))


def _depths(counts: dict[int, int]) -> dict[int, int]:
    """Depth of each symbol in its tree, and of the symbol -1, which holds a place."""
    depths = dict.fromkeys([*counts, -1], 0)
    heap = [(count, symbol, [symbol]) for symbol, count in counts.items()] + [(0, -1, [-1])]
    heapq.heapify(heap)
    while len(heap) > 1:
        (first, _, some), (second, tie, others) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in some + others:
            depths[symbol] += 1
        heapq.heappush(heap, (first + second, tie, some + others))
    return depths
