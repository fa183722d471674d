"""Coding the grid of a picture layer: tables by what is expected, and by how much may happen.

Of each latent two integers are formed from earlier ones, in the order of `walk`: a prediction, the
weighted sum of their values, and an expected magnitude, that of their magnitudes. In pictures the
second says more: busy places are busy in all frequencies. Each is compared with seven bounds, and
the two classes name the frequency table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe_vae.entropy.grid import LARGEST, CoderArrays, GridCoder, check_kinds, check_symbols
from codecframe_vae.entropy.rangecoder import I64, U8, U16
from codecframe_vae.entropy.walk import F32, I8, MOST_SUM, Put, Walk

BothStep = tuple[I64, I64, int, list[F32], Put]
"""A `Step` with the sums of two walks: predictions and expected magnitudes."""
I32 = npt.NDArray[np.int32]

CLASSES = 8
"""Of predictions, and of expected magnitudes."""


@dataclass(frozen=True)
class MagnitudeArrays(CoderArrays):
    """What a model file holds of the coder of one level: integers only. C channels.

    Attributes:
        limit: `uint8`, (C,): the largest magnitude that is sent, at most 127. Channels with 0 are
            not sent.
        edges: `int32`, (2, 2, C, CLASSES - 1): ascending bounds of the classes of predictions and
            of expected magnitudes, by phase and channel. A class is how many bounds are not above.
        row: `uint16`, (2, C, CLASSES, CLASSES): row of `frequency` by phase, channel, class of the
            prediction and class of the magnitude.
        frequency: `uint16`, (tables, alphabet).
    """

    limit: U8
    edges: I32
    row: U16
    frequency: U16


class MagnitudeModel(GridCoder[list[F32]]):
    """The entropy coder of one level of pictures.

    Args:
        weight: `int8`, (2, 2, C, C, 9), of all levels: for predictions and for magnitudes, as
            `Walk` takes them.
        arrays: of this level.
        groups: channel groups.

    Raises:
        ValueError: if they do not make a model.
    """

    def __init__(self, weight: I8, arrays: MagnitudeArrays, groups: int) -> None:
        check(weight, arrays, groups)
        super().__init__(arrays.frequency, arrays.limit)
        self.arrays = arrays
        self._walks = [Walk(one, arrays.limit, groups) for one in weight]
        self._row = arrays.row.astype(np.int64).ravel()

    def _steps(self, n: int, height: int, width: int) -> Iterator[BothStep]:
        return both(self._walks, n, height, width)

    def _rows(self, sums: list[F32], phase: int, channels: I64) -> I64:
        at = (phase * self.channels + channels)[:, None]
        for value, edges in zip(sums, self.arrays.edges[:, phase, channels], strict=True):
            at = at * CLASSES + (value[..., None] >= edges[None, :, None]).sum(-1)
        return self._row.take(at)


def both(walks: Sequence[Walk], n: int, height: int, width: int) -> Iterator[BothStep]:
    """(squares, channels, phase, [predictions, magnitudes], put), step by step."""
    for one, other in zip(*(walk.steps(n, height, width) for walk in walks), strict=True):
        squares, channels, phase, prediction, put = one
        yield squares, channels, phase, [prediction, other[3]], _putting(put, other[4])


def _putting(put: Put, put_magnitude: Put) -> Put:
    def both_of_them(values: npt.NDArray[Any]) -> None:
        put(values)
        put_magnitude(np.abs(values.astype(np.int16)))

    return both_of_them


def check(weight: I8, arrays: MagnitudeArrays, groups: int) -> None:
    """Whether arrays make a model; takes no memory for it.

    Raises:
        ValueError: if they do not.
    """
    channels = arrays.limit.size
    check_kinds(
        {
            "weight": (weight, np.int8, (2, 2, channels, channels, 9)),
            "limit": (arrays.limit, np.uint8, (channels,)),
            "edges": (arrays.edges, np.int32, (2, 2, channels, CLASSES - 1)),
            "row": (arrays.row, np.uint16, (2, channels, CLASSES, CLASSES)),
            "frequency": (arrays.frequency, np.uint16, arrays.frequency.shape),
        },
        groups,
    )
    limit = arrays.limit.astype(np.int64)
    sums = np.abs(weight.astype(np.int64)).sum(axis=4) @ limit
    if limit.max() > LARGEST or sums.max() >= MOST_SUM:
        raise ValueError("the sums of the context model are not exact")
    if arrays.row.max() >= len(arrays.frequency):
        raise ValueError("a table of the context model does not exist")
    check_symbols(arrays.frequency, arrays.row, arrays.limit)
