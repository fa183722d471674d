"""Intervals for measured accuracies."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_Z = 1.959963984540054
"""97.5 % quantile of the normal distribution: 95 % intervals."""


def wilson(mean: float, n: int) -> tuple[float, float]:
    """95 % score interval of a mean of `n` values from 0 to 1.

    Exact in form for hits and misses (Wilson, JASA 1927); for graded scores, whose variance is at
    most that of hits and misses of the same mean, it is conservative.
    """
    if n == 0:
        return 0.0, 1.0
    spread = 1 + _Z**2 / n
    centre = (mean + _Z**2 / (2 * n)) / spread
    half = _Z / spread * math.sqrt(mean * (1 - mean) / n + _Z**2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def paired_difference(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """Mean of `a - b` over the same images, with its 95 % normal interval (mean, low, high)."""
    if len(a) == 0:
        return 0.0, -1.0, 1.0
    difference = a - b
    mean = float(difference.mean())
    half = _Z * float(difference.std(ddof=1)) / math.sqrt(len(a)) if len(a) > 1 else 1.0
    return mean, max(-1.0, mean - half), min(1.0, mean + half)


def mcnemar(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Chance of hits that differ on as many images or more, were `a` and `b` equally good.

    The exact, two-sided test (McNemar, Psychometrika 1947) of what is better on more images.
    """
    better, worse = int((a > b).sum()), int((a < b).sum())
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1))
    return min(1.0, 2 * tail / (1 << n))


def resampled(n: int) -> npt.NDArray[np.float64]:
    """How often each of `n` images is in sets drawn from them with replacement, (1 + draws, n); the
    first set is all of them, once. The same for the same `n`, so that scores of these sets can be
    compared in pairs (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).
    """
    draws = int(np.clip(_DRAWN // max(n, 1), _LEAST_DRAWS, _MOST_DRAWS))
    chance = np.full(n, 1 / max(n, 1))
    drawn = np.random.default_rng(n).multinomial(n, chance, draws)
    return np.concatenate([np.ones((1, n)), drawn.reshape(draws, n)])


_MOST_DRAWS, _LEAST_DRAWS = 300, 50
_DRAWN = 1_000_000
"""Images of all sets together, at most, where that leaves enough sets."""


def interval_of(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """What `resampled` sets give, (1 + draws,), as (of all images, low, high): a 95 % interval by
    their standard deviation.
    """
    of_all = float(values[0])
    half = _Z * float(values[1:].std(ddof=1)) if len(values) > 2 else 1.0
    return of_all, of_all - half, of_all + half
