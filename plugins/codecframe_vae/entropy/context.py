"""Integer context model of a grid of latents: exact on every machine.

For each latent, in the order of `walk`, an integer prediction `sum(weight * q)` is formed from
latents that are decoded already and looked up to a class; (phase, channel, class) names the
frequency table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from codecframe_vae.entropy.background import Background
from codecframe_vae.entropy.grid import LARGEST, CoderArrays, GridCoder, check_kinds, check_symbols
from codecframe_vae.entropy.rangecoder import I64, U8, U16
from codecframe_vae.entropy.walk import F32, I8, MOST_SUM, Step, Walk, plan_of

if TYPE_CHECKING:
    from codecframe_vae.entropy.compiled import CompiledCoder

REACH = 256
"""Length of the class look-up tables; predictions are shifted and clipped to this range."""


@dataclass(frozen=True)
class ContextArrays(CoderArrays):
    """What a model file holds of a context model: integers only. C channels.

    Attributes:
        limit: `uint8`, (C,): the largest magnitude that is sent, at most 127; the encoder clips to
            it. Channels with 0 are not sent.
        weight: `int8`, (2, C, C, 9): phase, channel, channel it is predicted from, tap in raster
            order.
        shift: `uint8`, (1,): predictions are shifted right by it before they are looked up.
        lut: `uint8`, (2, C, REACH): class of a shifted prediction.
        row: `uint16`, (2, C, classes): row of `frequency`; rows may be shared.
        frequency: `uint16`, (tables, alphabet).
    """

    limit: U8
    weight: I8
    shift: U8
    lut: U8
    row: U16
    frequency: U16


class ContextModel(GridCoder[F32]):
    """The entropy coder of one rate level.

    Args:
        arrays: the integers it works with.
        groups: channel groups, all of the same size.

    Raises:
        ValueError: if the arrays do not make a model.
    """

    def __init__(self, arrays: ContextArrays, groups: int) -> None:
        check(arrays, groups)
        super().__init__(arrays.frequency, arrays.limit)
        self.arrays = arrays
        self.groups = groups
        self._shift = int(arrays.shift[0])
        self._walk = Walk(arrays.weight, arrays.limit, groups)
        # straight from (phase, channel, shifted prediction) to the table
        direct = np.take_along_axis(arrays.row, arrays.lut.astype(np.int64), 2)
        self._direct: I64 = direct.astype(np.int64).ravel()
        self._made: CompiledCoder | None = None

    @property
    def _compiled(self) -> CompiledCoder | None:
        """Does the same, faster, once numba is there."""
        if self._made is None and (coder := COMPILED.get()) is not None:
            self._made = coder(self.arrays, self.groups, self._tables, self._direct)
        return self._made

    # -- coding ---------------------------------------------------------------------------

    def encode(self, latents: I8) -> list[bytes]:
        """Payloads of clipped latents, (n, C, height, width)."""
        if (compiled := self._compiled) is not None:
            return compiled.encode(latents)
        return super().encode(latents)

    def decode(self, payloads: Sequence[bytes], height: int, width: int) -> I8:
        """Latents, (n, C, height, width), of n payloads.

        Raises:
            CorruptPayloadError: if no encoder wrote a payload.
        """
        if (compiled := self._compiled) is not None:
            return compiled.decode(payloads, height, width)
        return super().decode(payloads, height, width)

    def keep_first(self, latents: I8, keep: int) -> I8:
        """Latents with all but the first `keep` in coding order set to zero."""
        n, _, height, width = latents.shape
        plan = plan_of(height, width)
        order = [
            np.add.outer(squares, group * (height * width)).ravel()
            for group in self._walk.sent
            for squares in plan.phases
        ]
        kept = np.concatenate(order)[:keep]
        flat = latents.reshape(n, -1)
        result = np.zeros_like(flat)
        result[:, kept] = flat[:, kept]
        return result.reshape(latents.shape)

    # -- the walk -------------------------------------------------------------------------

    def _steps(self, n: int, height: int, width: int) -> Iterator[Step]:
        return self._walk.steps(n, height, width)

    def _rows(self, sums: F32, phase: int, channels: I64) -> I64:
        """Rows of tables for integer-valued predictions, (squares, channels, n)."""
        at = shifted(sums, self._shift)
        at += ((phase * self.channels + channels) * REACH)[:, None]
        return self._direct.take(at)


def _compiled_coder() -> type[CompiledCoder] | None:
    """The coder that numba compiles, when it has; None without numba."""
    try:
        from codecframe_vae.entropy import compiled
    except ImportError:
        return None
    compiled.compile_now()
    return compiled.CompiledCoder


COMPILED = Background(_compiled_coder)
"""Loading takes half a second, compiling, once on a machine, some: images do not wait for it."""


def shifted(prediction: F32, shift: int) -> I64:
    """Integer-valued predictions to places in a look-up table, `int64`, 0 to REACH - 1."""
    at = prediction.astype(np.int64)
    at >>= shift
    np.clip(at, -(REACH // 2), REACH // 2 - 1, out=at)
    at += REACH // 2
    return at


def check(arrays: ContextArrays, groups: int) -> None:
    """Whether arrays make a context model; takes no memory for it.

    Raises:
        ValueError: if they do not.
    """
    channels, classes = arrays.limit.size, arrays.row.shape[-1:]
    kinds: dict[str, tuple[type, tuple[int, ...]]] = {
        "limit": (np.uint8, (channels,)),
        "weight": (np.int8, (2, channels, channels, 9)),
        "shift": (np.uint8, (1,)),
        "lut": (np.uint8, (2, channels, REACH)),
        "row": (np.uint16, (2, channels, *classes)),
        "frequency": (np.uint16, arrays.frequency.shape),
    }
    check_kinds({name: (getattr(arrays, name), *kind) for name, kind in kinds.items()}, groups)
    limit = arrays.limit.astype(np.int64)
    sums = np.abs(arrays.weight.astype(np.int64)).sum(axis=3) @ limit
    if limit.max() > LARGEST or sums.max() >= MOST_SUM or arrays.shift[0] > 24:
        raise ValueError("the predictions of the context model are not exact")
    if arrays.lut.max() >= classes[0] or arrays.row.max() >= len(arrays.frequency):
        raise ValueError("a class or table of the context model does not exist")
    looked_up = np.take_along_axis(arrays.row, arrays.lut.astype(np.int64), 2)
    check_symbols(arrays.frequency, looked_up, arrays.limit)
