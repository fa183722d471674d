"""The order in which a grid of latents is coded, and exact sums over those that come earlier.

Coding order: channel groups; within a group first the even squares of the checkerboard, then the
odd ones; within such a step, squares in raster order and the group's channels at each square.

The sums are formed in float32 matrix products of small integers: with |sum| < 2 ** 24 every partial
sum is an integer that float32 holds, so the result is exact in any order of summation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe_vae.entropy.rangecoder import I64, U8

F32 = npt.NDArray[np.float32]
I8 = npt.NDArray[np.int8]
Put = Callable[[npt.NDArray[Any]], None]
Step = tuple[I64, I64, int, F32, Put]
"""(squares, channels, phase, sums, what takes the values there)."""

MOST_SUM = 1 << 24
"""Magnitude under which all sums are exact."""
_SIDES = [1, 3, 5, 7]
"""The four side neighbours among the nine taps of a 3x3 neighbourhood."""


@dataclass(frozen=True)
class Plan:
    """Index arrays for one grid size; padded squares are row-major in (height + 2, width + 2)."""

    phases: tuple[I64, I64]
    """Squares of each phase, numbered in the unpadded grid, raster order."""
    inner: I64
    """Padded number of each unpadded square."""
    around: tuple[I64, I64]
    """Padded numbers of the 3x3 neighbourhood of each square of a phase, (squares, 9)."""
    cross: I64
    """Padded numbers of the four side neighbours of each odd square, (squares, 4)."""


@lru_cache(maxsize=64)
def plan_of(height: int, width: int) -> Plan:
    """The plan of a grid size."""
    y, x = np.divmod(np.arange(height * width), width)
    odd = (y + x) % 2 == 1
    inner = (y + 1) * (width + 2) + x + 1
    taps = np.array([dy * (width + 2) + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    around = inner[:, None] + taps
    return Plan(
        (np.flatnonzero(~odd), np.flatnonzero(odd)),
        inner,
        (around[~odd], around[odd]),
        around[odd][:, _SIDES],
    )


class Walk:
    """Visits latents in coding order, with a sum for each of what was put before.

    An even square sees all earlier groups in its 3x3 neighbourhood; an odd one also the four even
    squares beside it in its own group. Outside of the grid all is 0.

    Args:
        weight: `int8`, (2, C, C, 9): phase, channel, channel it is summed from, tap in raster
            order.
        limit: `uint8`, (C,): channels with 0 are passed over.
        groups: channel groups, all of the same size.

    Attributes:
        sent: the channels of each group that are visited.
    """

    def __init__(self, weight: I8, limit: U8, groups: int) -> None:
        self._channels = len(limit)
        self._per = self._channels // groups
        starts = range(0, self._channels, self._per)
        self.sent = [np.flatnonzero(limit[s : s + self._per]) + s for s in starts]
        # a group's part in the sums of later channels, (later, 9 * per), by phase, and in those of
        # its own odd squares, (per, 4 * per)
        real = weight.astype(np.float32).transpose(0, 1, 3, 2)
        self._onward: list[list[F32]] = []
        self._beside: list[F32] = []
        for start in starts:
            end = start + self._per
            onward = [np.ascontiguousarray(w[end:, :, start:end]) for w in real]
            self._onward.append([w.reshape(-1, 9 * self._per) for w in onward])
            beside = np.ascontiguousarray(real[1, start:end][:, _SIDES][:, :, start:end])
            self._beside.append(beside.reshape(self._per, 4 * self._per))

    def steps(self, n: int, height: int, width: int) -> Iterator[Step]:
        """Step by step, for n grids; sums and the values to put are (squares, channels, n)."""
        plan = plan_of(height, width)
        sums = [np.zeros((len(squares), self._channels, n), np.float32) for squares in plan.phases]
        for group, channels in enumerate(self.sent):
            if not len(channels):
                continue
            first, last = group * self._per, (group + 1) * self._per
            local = channels - first
            grid = np.zeros(((height + 2) * (width + 2), self._per, n), np.float32)
            for phase, squares in enumerate(plan.phases):
                here = sums[phase][:, first:last]
                if phase:
                    near = grid.take(plan.cross, 0).reshape(-1, 4 * self._per, n)
                    here = here + _product(self._beside[group], near)
                if len(local) < self._per:
                    here = here[:, local]
                put = partial(_put, grid, plan.inner[squares][:, None], local)
                yield squares, channels, phase, here, put
            if last < self._channels:
                for phase, around in enumerate(plan.around):
                    near = grid.take(around, 0).reshape(-1, 9 * self._per, n)
                    sums[phase][:, last:] += _product(self._onward[group][phase], near)


def _put(grid: F32, squares: I64, channels: I64, values: npt.NDArray[Any]) -> None:
    grid[squares, channels] = values


def _product(weight: F32, x: F32) -> F32:
    """(out, k) times (squares, k, n) gives (squares, out, n)."""
    if x.shape[2] == 1:
        return np.asarray((x[:, :, 0] @ weight.T)[:, :, None])
    return np.asarray(np.matmul(weight, x))
