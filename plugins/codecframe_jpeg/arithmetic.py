"""The arithmetic-coded data of a sequential scan (ITU-T T.81, annexes D and F.1.4).

Each value is coded as binary decisions. A decision costs a fraction of a bit, depending on the
decisions at the same place in earlier blocks. Statistics start empty in every file, so it pays from
some 300 bytes on. With numba (`codecframe[fast]`) the loops are compiled and work on arrays;
without it they run in Python, on lists.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from codecframe_jpeg.coefficients import Blocks

try:
    import numba
except ImportError:
    COMPILED = False
else:
    COMPILED = True

F = TypeVar("F", bound=Callable[..., Any])

# table D.3: size of the less probable side, what follows it, what follows the other, whether sides
# change places; and last, for decisions without a bias, one that stays as it is
# fmt: off
_MACHINE = (
    (0x5a1d, 1, 1, 1), (0x2586, 14, 2, 0), (0x1114, 16, 3, 0), (0x080b, 18, 4, 0),
    (0x03d8, 20, 5, 0), (0x01da, 23, 6, 0), (0x00e5, 25, 7, 0), (0x006f, 28, 8, 0),
    (0x0036, 30, 9, 0), (0x001a, 33, 10, 0), (0x000d, 35, 11, 0), (0x0006, 9, 12, 0),
    (0x0003, 10, 13, 0), (0x0001, 12, 13, 0), (0x5a7f, 15, 15, 1), (0x3f25, 36, 16, 0),
    (0x2cf2, 38, 17, 0), (0x207c, 39, 18, 0), (0x17b9, 40, 19, 0), (0x1182, 42, 20, 0),
    (0x0cef, 43, 21, 0), (0x09a1, 45, 22, 0), (0x072f, 46, 23, 0), (0x055c, 48, 24, 0),
    (0x0406, 49, 25, 0), (0x0303, 51, 26, 0), (0x0240, 52, 27, 0), (0x01b1, 54, 28, 0),
    (0x0144, 56, 29, 0), (0x00f5, 57, 30, 0), (0x00b7, 59, 31, 0), (0x008a, 60, 32, 0),
    (0x0068, 62, 33, 0), (0x004e, 63, 34, 0), (0x003b, 32, 35, 0), (0x002c, 33, 9, 0),
    (0x5ae1, 37, 37, 1), (0x484c, 64, 38, 0), (0x3a0d, 65, 39, 0), (0x2ef1, 67, 40, 0),
    (0x261f, 68, 41, 0), (0x1f33, 69, 42, 0), (0x19a8, 70, 43, 0), (0x1518, 72, 44, 0),
    (0x1177, 73, 45, 0), (0x0e74, 74, 46, 0), (0x0bfb, 75, 47, 0), (0x09f8, 77, 48, 0),
    (0x0861, 78, 49, 0), (0x0706, 79, 50, 0), (0x05cd, 48, 51, 0), (0x04de, 50, 52, 0),
    (0x040f, 50, 53, 0), (0x0363, 51, 54, 0), (0x02d4, 52, 55, 0), (0x025c, 53, 56, 0),
    (0x01f8, 54, 57, 0), (0x01a4, 55, 58, 0), (0x0160, 56, 59, 0), (0x0125, 57, 60, 0),
    (0x00f6, 58, 61, 0), (0x00cb, 59, 62, 0), (0x00ab, 61, 63, 0), (0x008f, 61, 32, 0),
    (0x5b12, 65, 65, 1), (0x4d04, 80, 66, 0), (0x412c, 81, 67, 0), (0x37d8, 82, 68, 0),
    (0x2fe8, 83, 69, 0), (0x293c, 84, 70, 0), (0x2379, 86, 71, 0), (0x1edf, 87, 72, 0),
    (0x1aa9, 87, 73, 0), (0x174e, 72, 74, 0), (0x1424, 72, 75, 0), (0x119c, 74, 76, 0),
    (0x0f6b, 74, 77, 0), (0x0d51, 75, 78, 0), (0x0bb6, 77, 79, 0), (0x0a40, 77, 48, 0),
    (0x5832, 80, 81, 1), (0x4d1c, 88, 82, 0), (0x438e, 89, 83, 0), (0x3bdd, 90, 84, 0),
    (0x34ee, 91, 85, 0), (0x2eae, 92, 86, 0), (0x299a, 93, 87, 0), (0x2516, 86, 71, 0),
    (0x5570, 88, 89, 1), (0x4ca9, 95, 90, 0), (0x44d9, 96, 91, 0), (0x3e22, 97, 92, 0),
    (0x3824, 99, 93, 0), (0x32b4, 99, 94, 0), (0x2e17, 93, 86, 0), (0x56a8, 95, 96, 1),
    (0x4f46, 101, 97, 0), (0x47e5, 102, 98, 0), (0x41cf, 103, 99, 0), (0x3c3d, 104, 100, 0),
    (0x375e, 99, 93, 0), (0x5231, 105, 102, 0), (0x4c0f, 106, 103, 0), (0x4639, 107, 104, 0),
    (0x415e, 103, 99, 0), (0x5627, 105, 106, 1), (0x50e7, 108, 107, 0), (0x4b85, 109, 103, 0),
    (0x5597, 110, 109, 0), (0x504f, 111, 107, 0), (0x5a10, 110, 111, 1), (0x5522, 112, 109, 0),
    (0x59eb, 112, 111, 1), (0x5a1d, 113, 113, 0),
)
# fmt: on
_AC = 128
"""Where the bins of AC coefficients begin: before them, 64 of DC for luma and for chroma."""
_EVEN = 640
"""The bin of signs of AC coefficients; before it, 256 of AC for luma and for chroma."""
_MIDDLE = 5
"""Place of the last coefficient whose size has the bins of low frequencies: Kx of F.1.4.4.1.3."""
_BITS = 14
"""From the bin that ended the number of bits to that of the bits."""
_OF_A_BLOCK = 1 << 12
"""Bytes that no block exceeds: some 24 decisions of at most 15 bits for each coefficient."""
_WIDTH, _CODE, _SHIFTS, _LENGTH = range(4)
"""What a coder remembers: A, C and CT of annex D, and how many bytes it has written."""


def coded(blocks: Blocks) -> list[bytes]:
    """The data of each image's scan."""
    components = _ready(blocks.components), _ready((blocks.components > 0).astype(np.int64))
    return [_data(_ready(image), *components) for image in blocks.values]


def _data(values: Any, components: Any, kinds: Any) -> bytes:
    """The data of one image; `values` are (blocks, 64) in zigzag order."""
    bins = _ready(np.where(np.arange(_EVEN + 1) == _EVEN, 2 * (len(_MACHINE) - 1), 0))
    coder = _ready(np.array([1 << 16, 0, 11, 0]))
    before = _ready(np.zeros((3, 2), np.int64))
    out, block = _ready(np.zeros(2 * _OF_A_BLOCK, np.int64)), 0
    while True:
        tools = bins, coder, out, *_machine()
        block = _encode(values, components, kinds, block, before, tools)
        if block == len(values):
            break
        out = _ready(np.concatenate([out, np.zeros(len(out), np.int64)]))
    _finish(tools)
    data = np.asarray(out[: coder[_LENGTH]], np.uint8).tobytes()
    data = data.rstrip(b"\0")  # decoders go on with zeros
    return data.replace(b"\xff", b"\xff\0") or b"\0"


def _ready(values: npt.NDArray[np.int64]) -> Any:
    """Values in the form that the loops take."""
    return np.ascontiguousarray(values) if COMPILED else values.tolist()


@cache
def _machine() -> tuple[Any, Any, Any]:
    """For twice a state, plus the side that is more probable: size of the other one, and what
    follows after the more and after the less probable one.
    """
    size, less, more, change = np.array(_MACHINE).T
    side = np.arange(2)
    tables = (
        np.repeat(size, 2),
        (2 * more[:, None] + side).ravel(),
        (2 * less[:, None] + (side ^ change[:, None])).ravel(),
    )
    return _ready(tables[0]), _ready(tables[1]), _ready(tables[2])


# -- loops ----------------------------------------------------------------------------------------
def _loop(function: F) -> F:
    """Compiled, where numba is installed."""
    if not COMPILED:
        return function
    return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


# `tools` are the bins (a state each), the coder, its output, and the tables of the machine


@_loop
def _decide(tools: Any, at: int, bit: int) -> None:
    """Code a decision by a bin (D.1.4 to D.1.6)."""
    bins, coder, out, size, more, less = tools
    state = bins[at]
    other = size[state]
    width, code = coder[_WIDTH] - other, coder[_CODE]
    if state & 1 == bit:
        if width >= 0x8000:
            coder[_WIDTH] = width
            return
        is_upper = width < other  # the larger part is always the more probable side's
        bins[at] = more[state]
    else:
        is_upper = width >= other
        bins[at] = less[state]
    if is_upper:
        code += width
        width = other
    shifts = coder[_SHIFTS]
    while width < 0x8000:
        width <<= 1
        code <<= 1
        shifts -= 1
        if not shifts:
            code = _put(coder, out, code)
            shifts = 8
    coder[_WIDTH], coder[_CODE], coder[_SHIFTS] = width, code, shifts


@_loop
def _put(coder: Any, out: Any, code: int) -> int:
    """Write a byte, and what it carries into earlier ones (D.1.6); the rest of the code."""
    length, byte = coder[_LENGTH], code >> 19
    if byte > 0xFF:
        earlier = length - 1
        while out[earlier] == 0xFF:
            out[earlier] = 0
            earlier -= 1
        out[earlier] += 1
    out[length] = byte & 0xFF
    coder[_LENGTH] = length + 1
    return code & 0x7FFFF


@_loop
def _finish(tools: Any) -> None:
    """Write the number in the last interval that has most zeros at its end (D.1.8)."""
    _, coder, out, _, _, _ = tools
    code = (coder[_CODE] + coder[_WIDTH] - 1) & ~0xFFFF
    if code < coder[_CODE]:
        code += 0x8000
    code = _put(coder, out, code << coder[_SHIFTS])
    _put(coder, out, code << 8)


@_loop
def _magnitude(tools: Any, rest: int, first: int, second: int, third: int) -> None:
    """Code a magnitude less 1 (figures F.8 and F.9): how many bits it has, then all but the first.

    The bins are those of the first, the second and the third decision; more follow the third.
    """
    at, top, left = first, 0, rest
    while left:
        _decide(tools, at, 1)
        left >>= 1
        top = 2 * top if top else 1
        at = second if top == 1 else third if top == 2 else at + 1
    _decide(tools, at, 0)
    top >>= 1
    while top:
        _decide(tools, at + _BITS, int(rest & top > 0))
        top >>= 1


@_loop
def _encode(values: Any, components: Any, kinds: Any, block: int, before: Any, tools: Any) -> int:
    """Code blocks from `block` on, as many as there is room for; which one comes next.

    `before` is, of each component, the last DC and the class of its difference.
    """
    _, coder, out, _, _, _ = tools
    while block < len(values) and coder[_LENGTH] + _OF_A_BLOCK <= len(out):
        coefficients, kind, known = values[block], kinds[block], before[components[block]]
        block += 1

        # the difference of DC (figure F.4), by bins for the class of the one before
        base = 64 * kind
        difference = coefficients[0] - known[0]
        at = base + known[1]
        _decide(tools, at, int(difference != 0))
        known[0], known[1] = coefficients[0], 0
        if difference:
            negative = int(difference < 0)
            rest = abs(difference) - 1
            _decide(tools, at + 1, negative)
            _magnitude(tools, rest, at + 2 + negative, base + 20, base + 21)
            known[1] = 4 + 4 * negative + 8 * int(rest > 1)

        # AC (figure F.5), place by place up to the last that is not zero
        last = 63
        while last and not coefficients[last]:
            last -= 1
        base = _AC + 256 * kind
        may_end = True
        for place in range(1, last + 1):
            at = base + 3 * (place - 1)
            if may_end:
                _decide(tools, at, 0)
            value = coefficients[place]
            may_end = value != 0
            _decide(tools, at + 1, int(may_end))
            if may_end:
                _decide(tools, _EVEN, int(value < 0))
                large = base + (189 if place <= _MIDDLE else 217)
                _magnitude(tools, abs(value) - 1, at + 2, at + 2, large)
        if last < 63:
            _decide(tools, base + 3 * last, 1)
    return block
