"""Quantisation steps that lose least for the bits they save.

Bits and loss of each coefficient are tabulated over all steps. The loss is the change of a head's
loss to second order, with squared first derivatives in place of the second ones (the empirical
Fisher information). For any lambda, the best step of each coefficient can then be read off: the
Lagrangian allocation of Shoham and Gersho ("Efficient bit allocation for an arbitrary set of
quantizers", IEEE Trans. ASSP 1988).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codecframe_jpeg.coefficients import rounded
from codecframe_jpeg.tables import ZIGZAG

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Table = tuple[int, ...]

STEPS = np.unique(np.geomspace(1, 255, 72).round().astype(np.int64))
"""Steps that are tabulated."""
_SIZES = 12


@dataclass(frozen=True)
class Coefficients:
    """Luma's coefficients, or those of both chroma components, of a set of images.

    Attributes:
        values: (blocks, 64), in zigzag order, component after component of image after image.
        fisher: squared derivatives of the loss, the same.
        images: number of images.
    """

    values: F32
    fisher: F32
    images: int


@dataclass(frozen=True)
class Curves:
    """What each step of each coefficient costs an image, both (64, steps).

    Attributes:
        bits: about how many bits are coded.
        fisher: about how much the loss rises, in nats.
    """

    bits: F64
    fisher: F64

    def best(self, lambda_: float) -> I64:
        """The step of each coefficient when a bit costs `lambda_` nats, as places in `STEPS`: the
        coarsest of those that are as good, e.g. where all coefficients become zero.
        """
        coarsest_first = (self.fisher + lambda_ * self.bits)[:, ::-1]
        return np.asarray(len(STEPS) - 1 - coarsest_first.argmin(axis=1))


class Tally:
    """Curves from coefficients that come piece by piece, without keeping them.

    Args:
        deadzone: how they are rounded.
    """

    def __init__(self, deadzone: float) -> None:
        self._deadzone = deadzone
        self._counts = np.zeros((len(STEPS), 64, _SIZES))
        self._harm = np.zeros((len(STEPS), 64))
        self._images = 0

    def add(self, coefficients: Coefficients) -> None:
        """Count those of some images."""
        self._images += coefficients.images
        for number, step in enumerate(STEPS):
            quantised = rounded(coefficients.values / np.float32(step), self._deadzone)
            error = coefficients.values - quantised * np.float32(step)
            self._harm[number] += 0.5 * (coefficients.fisher * error**2).sum(0, dtype=np.float64)
            self._counts[number] += _sizes(quantised)

    def curves(self) -> Curves:
        """The cost of everything that was counted."""
        bits = np.stack([_bits(counts) for counts in self._counts], axis=1)
        # noise of few samples must not make a coarser step look dearer or less lossy
        bits = np.minimum.accumulate(bits, axis=1)
        fisher = np.maximum.accumulate(self._harm.T, axis=1)
        return Curves(bits / self._images, fisher / self._images)


def allocate(curves: Sequence[Curves], bits: float) -> tuple[Table, ...]:
    """Tables, row by row, one for each of `curves`, by which an image takes about `bits` bits."""
    low, high = -40.0, 10.0  # logarithm of the lambda
    for _ in range(50):
        lambda_ = float(np.exp((low + high) / 2))
        spent = sum(float(c.bits[np.arange(64), c.best(lambda_)].sum()) for c in curves)
        low, high = ((low + high) / 2, high) if spent > bits else (low, (low + high) / 2)
    return tuple(as_table(STEPS[c.best(float(np.exp(high)))]) for c in curves)


def as_table(steps: npt.NDArray[np.generic]) -> Table:
    """Steps in zigzag order as a table, row by row."""
    table = np.empty(64, np.int64)
    table[ZIGZAG] = np.clip(np.rint(steps.astype(np.float64)), 1, 255)
    return tuple(table.tolist())


def _sizes(quantised: F32) -> F64:
    """How many of each coefficient have each size, (64, sizes)."""
    values = quantised.copy()
    values[1:, 0] -= quantised[:-1, 0]  # of the first, differences are coded
    sizes = np.frexp(np.abs(values))[1]
    return np.stack([(sizes == size).sum(axis=0) for size in range(_SIZES)], axis=1).astype(float)


def _bits(counts: F64) -> F64:
    """Bits of each coefficient, (64,): entropy of the sizes, and the bits that follow them.

    Runs of zeros are coded together, and about as well as if each had its own adapted code.
    """
    share = counts / counts.sum(axis=1, keepdims=True)
    entropy = -(counts * np.log2(np.maximum(share, 1e-12))).sum(axis=1)
    return np.asarray(entropy + counts @ np.arange(_SIZES), np.float64)
