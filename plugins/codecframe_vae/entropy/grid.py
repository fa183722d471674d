"""Coding a grid of latents step by step, whatever names the frequency table of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Generic, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt

from codecframe_vae.entropy.rangecoder import (
    I64,
    U8,
    U16,
    Decoder,
    Tables,
    check_frequencies,
    encode,
    ideal_bits,
)
from codecframe_vae.entropy.walk import I8, Put

Array = npt.NDArray[Any]
Sums = TypeVar("Sums")
"""What tables are named by: sums over earlier latents, (squares, channels, n)."""

LARGEST = 127
"""Magnitude of a latent, at most."""


def fold_sign(value: Array) -> Array:
    """Latents to symbols: 0, -1, 1, -2, 2 to 0, 1, 2, 3, 4."""
    return np.where(value < 0, -2 * value - 1, 2 * value)


_SYMBOLS = fold_sign(np.arange(256).astype(np.uint8).view(np.int8).astype(np.int64))
"""Symbol of an int8 latent seen as uint8."""
_LATENTS = np.array([-((s + 1) >> 1) if s & 1 else s >> 1 for s in range(256)]).astype(np.int8)
"""Latent of a symbol."""


class CoderArrays:
    """What a model file holds of an entropy coder; subclasses are dataclasses of integer arrays."""

    @classmethod
    def names(cls) -> list[str]:
        """The arrays' names."""
        return [field.name for field in fields(cast("Any", cls))]

    @classmethod
    def taken(cls, tensors: Mapping[str, Array], prefix: str) -> Self:
        """Those of a model file whose names begin so.

        Raises:
            KeyError: if one is missing.
        """
        return cls(**{name: tensors[prefix + name] for name in cls.names()})

    def stored(self, prefix: str) -> dict[str, Array]:
        """As tensors of a model file."""
        return {prefix + name: value for name, value in vars(self).items()}


def check_kinds(kinds: Mapping[str, tuple[Array, type, tuple[int, ...]]], groups: int) -> None:
    """Whether arrays are of the types and shapes that they must be; takes no memory for it.

    Raises:
        ValueError: if they are not, or channels do not make so many groups.
    """
    if kinds["frequency"][0].ndim != 2:
        raise ValueError("frequency is not a list of tables")
    for name, (array, dtype, shape) in kinds.items():
        if array.dtype != dtype or array.shape != shape or not array.size:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, not {dtype.__name__} {shape}")
    channels = kinds["limit"][0].size
    if groups < 1 or channels % groups:
        raise ValueError(f"{channels} channels do not make {groups} groups")


def check_symbols(frequency: U16, rows: Array, limit: U8) -> None:
    """Whether the tables of all `rows`, (2, C, ...), have the symbols that can occur, 0 to twice
    the channel's limit.

    Raises:
        ValueError: if one lacks one, or is no table.
    """
    coded = (frequency > 0).cumprod(axis=-1).sum(axis=-1)[rows]
    reach = limit.astype(np.int64).reshape(-1, *[1] * (rows.ndim - 2))
    if ((coded <= 2 * reach) & (reach > 0)).any():
        raise ValueError("a table of the context model lacks a symbol")
    check_frequencies(frequency)


def predictions(
    steps: Iterable[tuple[I64, I64, int, Sums, Put]], latents: I8
) -> Iterator[tuple[int, I64, Sums, I64]]:
    """(phase, channels, sums, symbols), step by step, for fitting and looking up tables.

    Args:
        steps: (squares, channels, phase, sums, what takes the values there), as `Walk.steps` gives
            them.
        latents: clipped, (n, C, height, width).

    Yields:
        With sums and symbols (squares, channels, n).
    """
    flat = latents.reshape(*latents.shape[:2], -1).transpose(2, 1, 0)
    for squares, channels, phase, sums, put in steps:
        values = flat[squares[:, None], channels]
        yield phase, channels, sums, _SYMBOLS.take(values.view(np.uint8))
        put(values)


class GridCoder(ABC, Generic[Sums]):
    """The entropy coder of one level of latents.

    Args:
        frequency: `uint16`, (tables, alphabet).
        limit: `uint8`, (C,): the largest magnitude that is sent. Channels with 0 are not sent.
    """

    def __init__(self, frequency: U16, limit: U8) -> None:
        self.channels = len(limit)
        self._bound = limit.astype(np.float32)[:, None, None]
        self._sent = int(np.count_nonzero(limit))
        self._tables = Tables(frequency)

    @abstractmethod
    def _steps(self, n: int, height: int, width: int) -> Iterator[tuple[I64, I64, int, Sums, Put]]:
        """The walk over n grids, as `predictions` takes it."""

    @abstractmethod
    def _rows(self, sums: Sums, phase: int, channels: I64) -> I64:
        """Rows of tables, (squares, channels, n)."""

    def clip(self, latents: Array) -> I8:
        """Latents, (n, C, height, width), rounded and brought within the limits."""
        rounded: Array = np.rint(latents)
        np.minimum(rounded, self._bound, out=rounded)
        np.maximum(rounded, -self._bound, out=rounded)
        return rounded.astype(np.int8)

    def encode(self, latents: I8) -> list[bytes]:
        """Payloads of clipped latents, (n, C, height, width)."""
        return encode(self._tables, *self._rows_and_symbols(latents))

    def decode(self, payloads: Sequence[bytes], height: int, width: int) -> I8:
        """Latents, (n, C, height, width), of n payloads.

        Raises:
            CorruptPayloadError: if no encoder wrote a payload.
        """
        n = len(payloads)
        latents = np.zeros((height * width, self.channels, n), np.int8)
        decoder = Decoder(self._tables, payloads, height * width * self._sent)
        for squares, channels, phase, sums, put in self._steps(n, height, width):
            rows = self._rows(sums, phase, channels)
            symbols = decoder.decode(rows.reshape(-1, n))
            values = _LATENTS.take(symbols).reshape(rows.shape)
            latents[squares[:, None], channels] = values
            put(values)
        decoder.finish()
        shape = (n, self.channels, height, width)
        return np.ascontiguousarray(latents.transpose(2, 1, 0)).reshape(shape)

    def ideal_bytes(self, latents: I8) -> npt.NDArray[np.float64]:
        """What the tables say each image costs, (n,), without coding."""
        return np.asarray(ideal_bits(self._tables, *self._rows_and_symbols(latents)) / 8)

    def predictions(self, latents: I8) -> Iterator[tuple[int, I64, Sums, I64]]:
        """See `predictions`, of clipped latents, (n, C, height, width)."""
        n, _, height, width = latents.shape
        return predictions(self._steps(n, height, width), latents)

    def _rows_and_symbols(self, latents: I8) -> tuple[I64, I64]:
        """Rows of tables and symbols of clipped latents, (places, n), in coding order."""
        n = len(latents)
        rows, symbols = [np.zeros((0, n), np.int64)], [np.zeros((0, n), np.int64)]
        for phase, channels, sums, symbol in self.predictions(latents):
            rows.append(self._rows(sums, phase, channels).reshape(-1, n))
            symbols.append(symbol.reshape(-1, n))
        return np.concatenate(rows), np.concatenate(symbols)
