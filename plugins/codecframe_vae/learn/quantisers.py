"""How finely each latent is rounded at a rate: entropy-coded scalar quantisers of one slope.

At high rates one step for all latents is best. At low ones, where most integers are 0, it is not: a
latent's step is then that of least squared error + lambda * bits, with one lambda for all latents
(Shoham and Gersho, "Efficient bit allocation for an arbitrary set of quantizers", 1988), and what
is decoded is the mean of what was rounded to it, as far as one factor can be that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]

_SAMPLES = 6000
"""Of each latent."""
_SCALES = np.exp(np.arange(-4.0, 7.01, 0.125))
"""Factors before rounding that are tried, for latents whose largest has unit variance."""
_MOST = 127
_HALVINGS = 40


@dataclass(frozen=True)
class Quantisers:
    """Factors at some rates.

    Attributes:
        log_up: before rounding, (rates, latents).
        log_down: after decoding, (rates, latents).
        errors: squared error of all latents of a square, (rates,).
        sent: latents that are not always 0 at the highest rate.
    """

    log_up: F32
    log_down: F32
    errors: F64
    sent: int


def quantisers(real: F32, rates: Sequence[float], pixels: int) -> Quantisers:
    """Those of some rates.

    Args:
        real: latents, (n, C, height, width).
        rates: in bits per pixel, ascending.
        pixels: of an image.
    """
    table = _Table(real)
    squares = real[0, 0].size
    chosen = [table.at(rate * pixels / squares) for rate in rates]
    up, down, errors = (np.stack(column) for column in zip(*chosen, strict=True))
    sent = np.flatnonzero(table.bits[np.arange(len(up[0])), chosen_at(up[-1])] > 0)
    last = int(sent[-1]) + 1 if len(sent) else 1
    return Quantisers(np.log(up), np.log(down), errors, last)  # type: ignore[arg-type]


def chosen_at(up: F32) -> npt.NDArray[np.int64]:
    """Which of the scales these are."""
    return np.asarray(np.abs(np.log(_SCALES) - np.log(up)[:, None]).argmin(1))


class _Table:
    """Errors, bits and factors of each latent at each scale, (C, scales)."""

    def __init__(self, real: F32) -> None:
        flat = real.transpose(1, 0, 2, 3).reshape(real.shape[1], -1)
        flat = flat[:, :: max(1, flat.shape[1] // _SAMPLES)].astype(np.float32)
        columns = [_scaled(flat, scale) for scale in _SCALES]
        self.errors, self.bits, self.down = (
            np.stack(c, 1) for c in zip(*columns, strict=True)
        )

    def at(self, bits: float) -> tuple[F64, F64, float]:
        """(factors before and after, (C,), error) where a square takes so many bits."""
        low, high = 1e-12, 1e6
        for _ in range(_HALVINGS):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if self._taken(middle)[1] > bits else (low, middle)
        best = self._taken(high)[0]
        row = np.arange(len(best))
        return _SCALES[best], self.down[row, best], float(self.errors[row, best].sum())

    def _taken(self, price: float) -> tuple[npt.NDArray[np.int64], float]:
        """(scale of each latent, bits of a square) at so much error a bit."""
        cost = self.errors + price * self.bits
        # of scales that cost the same, as where nothing is sent, the finest
        best = cost.shape[1] - 1 - cost[:, ::-1].argmin(1)
        return best, float(self.bits[np.arange(len(best)), best].sum())


def _scaled(flat: F32, scale: float) -> tuple[F64, F64, F64]:
    """(squared error, bits, factor after decoding) of each latent at one scale."""
    whole = np.clip(np.rint(flat * np.float32(scale)), -_MOST, _MOST)
    power = np.einsum("cn,cn->c", whole, whole, dtype=np.float64)
    common = np.einsum("cn,cn->c", whole, flat, dtype=np.float64)
    down = np.where(power > 0, common / np.maximum(power, 1), 1 / scale)
    count = flat.shape[1]
    error = np.einsum("cn,cn->c", flat, flat, dtype=np.float64) - down * common
    width = 2 * _MOST + 1
    at = whole.astype(np.int32) + _MOST + np.arange(len(flat), dtype=np.int32)[:, None] * width
    seen = np.bincount(at.ravel(), minlength=width * len(flat)).reshape(len(flat), width)
    share = seen / count
    bits = -(share * np.log2(np.where(seen > 0, share, 1))).sum(1)
    return np.maximum(error, 0) / count, bits, np.maximum(down, 1e-6)
