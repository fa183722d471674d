"""Coefficients chosen by what they cost (trellis quantisation).

Of each AC coefficient the nearest whole number of steps, one less, or none at all is sent: of all
ways to do that in a block, the one of least squared error plus price times bits is found as a
shortest path from coefficient to coefficient (Crouse and Ramchandran, "Joint thresholding and
quantizer selection for transform image coding", 1997). Errors are counted in steps: what a step is
worth is what a quantisation table says.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from codecframe_jpeg import huffman
from codecframe_jpeg.loops import loop, ready

_FAR = 1e30


def chosen(scaled: npt.NDArray[np.float32], table: bytes, price: float) -> npt.NDArray[np.int64]:
    """The coefficients to send.

    Args:
        scaled: coefficients in steps, (..., 64), in zigzag order, within what JPEG can hold.
        table: Huffman table of AC coefficients, whose codes say what they cost.
        price: of a bit, in squared steps.

    Returns:
        `int64` of the same shape; DC is rounded.
    """
    magnitudes = np.abs(scaled.reshape(-1, 64).astype(np.float64))
    _, length = huffman.codes(table)
    found = ready(np.zeros(magnitudes.shape, np.int64))
    _choose(ready(magnitudes), ready(length), price, found)
    values = np.asarray(found).reshape(scaled.shape) * np.sign(scaled).astype(np.int64)
    values[..., 0] = np.rint(scaled[..., 0])
    return values


@loop
def _choose(magnitudes, length, price, found):  # type: ignore[no-untyped-def]
    """Put the magnitudes to send into `found`, for those wanted; both are (blocks, 64)."""
    places, before, kept = [0] * 64, [0] * 64, [0] * 64
    costs, dropped = [0.0] * 64, [0.0] * 65
    for block in range(len(magnitudes)):
        wanted = magnitudes[block]
        for place in range(1, 64):  # the error of leaving out all up to there
            dropped[place + 1] = dropped[place] + wanted[place] ** 2
        best, end = dropped[64] + price * length[0], 0
        nodes = 1  # the first stands for DC; the others are coefficients that may be sent
        for place in range(1, 64):
            nearest = int(wanted[place] + 0.5)
            if not nearest:
                continue
            costs[nodes] = _FAR
            for value in range(max(1, nearest - 1), nearest + 1):
                error = (wanted[place] - value) ** 2
                size = _size(value)
                for node in range(nodes):
                    run = place - places[node] - 1
                    bits = (run >> 4) * length[0xF0] + length[(run & 15) << 4 | size] + size
                    cost = costs[node] + dropped[place] - dropped[places[node] + 1]
                    cost += error + price * bits
                    if cost < costs[nodes]:
                        costs[nodes], before[nodes], kept[nodes] = cost, node, value
            places[nodes] = place
            last = costs[nodes] + dropped[64] - dropped[place + 1]
            if place < 63:
                last += price * length[0]
            if last < best:
                best, end = last, nodes
            nodes += 1
        while end:
            found[block][places[end]] = kept[end]
            end = before[end]


@loop
def _size(value):  # type: ignore[no-untyped-def]
    """Bits of a magnitude."""
    size = 0
    while value:
        value >>= 1
        size += 1
    return size
