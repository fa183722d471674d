"""Coding a grid of latents with loops that numba compiles: the payloads are those of `context`.

Where numpy takes a step of many grids at once, this goes from latent to latent, and adds what each
that is not zero says of those around it. Imported where numba is installed (`codecframe[fast]`),
by a thread of its own (see `context`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np

from codecframe_vae.entropy import rangecoder
from codecframe_vae.entropy.rangecoder import (
    FULL,
    TAIL,
    Tables,
    check_end,
    decodable,
    numbered,
)

if TYPE_CHECKING:
    from codecframe_vae.entropy.context import ContextArrays
    from codecframe_vae.entropy.walk import I8

F = TypeVar("F", bound=Callable[..., Any])


def _jit(function: F) -> F:
    """The loop, compiled when it is first called.

    numba keeps what it compiled until this file changes: touch it where a loop elsewhere did.
    """
    return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


_encode_run = _jit(rangecoder.encode_run)
_finish_run = _jit(rangecoder.finish_run)
_first_state = _jit(rangecoder.first_state)
_decode_run = _jit(rangecoder.decode_run)


class CompiledCoder:
    """The entropy coder of one rate level.

    Args:
        arrays: the integers it works with, checked.
        groups: channel groups.
        tables: the frequency tables in `arrays`.
        direct: row of tables by (phase, channel, shifted prediction), flat.
    """

    def __init__(
        self, arrays: ContextArrays, groups: int, tables: Tables, direct: rangecoder.I64
    ) -> None:
        channels = len(arrays.limit)
        group = np.arange(channels) // (channels // groups)
        earlier = group[:, None] < group
        beside = (group[:, None] == group)[:, None, :] & (np.arange(9) % 2 == 1)[:, None]
        weight = arrays.weight.astype(np.int32).transpose(0, 2, 3, 1)  # phase, from, tap, to
        known = np.stack([np.broadcast_to(earlier[:, None], beside.shape)] * 2)
        known[1] |= beside
        weight *= known
        # what a latent of a phase and channel adds to the three squares in each of the three rows
        # around it: of each of those it is the tap opposite
        down, right = np.divmod(np.arange(9), 3)
        phases = (np.arange(2)[:, None] + down + right) & 1
        spread = np.stack([weight[there, :, 8 - np.arange(9)] for there in phases])
        spread = spread.transpose(0, 2, 1, 3)  # phase, from, square, to
        self._model = (
            np.ascontiguousarray(spread).ravel(),
            spread.any((2, 3)),
            arrays.limit > 0,
            channels // groups,
            int(arrays.shift[0]),
            direct,
            tables.width,
            tables.frequency,
            tables.start,
        )

    def encode(self, latents: I8) -> list[bytes]:
        """See `ContextModel.encode`."""
        return [_encode(np.ascontiguousarray(one), self._model).tobytes() for one in latents]

    def decode(self, payloads: Sequence[bytes], height: int, width: int) -> I8:
        """See `ContextModel.decode`."""
        sent = self._model[2]
        places = height * width * int(sent.sum())
        latents = np.zeros((len(payloads), len(sent), height, width), np.int8)
        for number, (payload, one) in enumerate(zip(payloads, latents, strict=True)):
            with numbered(number, len(payloads)):
                words = np.frombuffer(decodable(payload, places), ">u2").astype(np.int64)
                check_end(payload, _decode(words, one, self._model))
        return latents


def compile_now() -> None:
    """Compile all loops, or load what was compiled: code the smallest grid."""
    from codecframe_vae.entropy.context import REACH, ContextArrays

    one = np.ones(1, np.uint8)
    lut, row = np.zeros((2, 1, REACH), np.uint8), np.zeros((2, 1, 1), np.uint16)
    frequency = np.array([[rangecoder.TOTAL - 2, 1, 1]], np.uint16)
    arrays = ContextArrays(one, np.zeros((2, 1, 1, 9), np.int8), one, lut, row, frequency)
    direct = np.zeros(lut.size, np.int64)
    coder = CompiledCoder(arrays, 1, rangecoder.Tables(frequency), direct)
    coder.decode(coder.encode(np.ones((1, 1, 1, 1), np.int8)), 1, 1)


@_jit
def _look_up(sums: Any, channels: Any, phase: int, shift: int, direct: Any, row: Any) -> int:
    """The rows of tables of a step's latents, and how many there are."""
    rows, columns, count = sums.shape
    place = 0
    for y in range(rows - 2):
        for x in range((y + phase) & 1, columns - 2, 2):
            for channel in channels:
                shifted = min(max(sums[y + 1, x + 1, channel] >> shift, -128), 127) + 128
                row[place] = direct[((phase * count + channel) << 8) + shifted]
                place += 1
    return place


@_jit
def _add(
    sums: Any, spread: Any, shape: Any, y: int, x: int, phase: int, channel: Any, v: Any
) -> None:
    """Add a latent to the predictions of the three squares in each of the three rows around it.

    `sums`, of that shape, and `spread` are flat.
    """
    _, columns, count = shape
    # unsigned: where no index can be negative, the compiler adds whole vectors
    line, three = np.uintp(columns * count), np.uintp(3 * count)
    to = np.uintp((y * columns + x) * count)
    of = np.uintp((phase * count + channel) * 9 * count)
    for _ in range(3):
        for n in range(three):  # zeros, too
            sums[to + n] += v * spread[of + n]
        to += line
        of += three


@_jit
def _encode(latents: Any, model: Any) -> Any:
    """The payload of clipped latents, (channels, height, width)."""
    spread, speaks, sent, per, shift, direct, alphabet, frequency, start = model
    count, height, columns = latents.shape
    sums = np.zeros((height + 2, columns + 2, count), np.int32)
    flat = sums.ravel()
    row = np.empty(height * columns * per, np.int64)
    starts, frequencies = np.empty_like(row), np.empty_like(row)
    digits = np.empty(latents.size, np.int64)
    low, width, used = 0, FULL, 0
    for first in range(0, count, per):
        channels = np.flatnonzero(sent[first : first + per]) + first
        for phase in range(2):
            places = _look_up(sums, channels, phase, shift, direct, row)
            place = 0
            for y in range(height):
                for x in range((y + phase) & 1, columns, 2):
                    for channel in channels:
                        v = np.int64(latents[channel, y, x])
                        at = row[place] * alphabet + (2 * v if v >= 0 else -2 * v - 1)
                        starts[place], frequencies[place] = start[at], frequency[at]
                        place += 1
                        if v and speaks[phase, channel]:
                            _add(flat, spread, sums.shape, y, x, phase, channel, np.int32(v))
            low, width, used = _encode_run(
                starts[:places], frequencies[:places], digits, low, width, used
            )
    payload = np.empty(2 * used + TAIL, np.uint8)
    return payload[: _finish_run(digits, low, width, used, payload)]


@_jit
def _decode(words: Any, latents: Any, model: Any) -> Any:
    """Fill in latents, (channels, height, width), of zeros; words read, -1 if it is damaged."""
    spread, speaks, sent, per, shift, direct, alphabet, frequency, _ = model
    count, height, columns = latents.shape
    sums = np.zeros((height + 2, columns + 2, count), np.int32)
    flat = sums.ravel()
    row = np.empty(height * columns * per, np.int64)
    decoded = np.empty(len(row), np.uint8)
    offset, width, read = _first_state(words)
    for first in range(0, count, per):
        channels = np.flatnonzero(sent[first : first + per]) + first
        for phase in range(2):
            places = _look_up(sums, channels, phase, shift, direct, row)
            offset, width, read = _decode_run(
                row[:places], alphabet, frequency, words, offset, width, read, decoded
            )
            if read < 0:
                return -1
            place = 0
            for y in range(height):
                for x in range((y + phase) & 1, columns, 2):
                    for channel in channels:
                        s = np.int32(decoded[place])
                        place += 1
                        if s:
                            v = -((s + 1) >> 1) if s & 1 else s >> 1
                            latents[channel, y, x] = v
                            if speaks[phase, channel]:
                                _add(flat, spread, sums.shape, y, x, phase, channel, np.int32(v))
    return read
