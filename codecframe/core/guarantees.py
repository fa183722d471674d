"""Claims about a mean that hold with a stated confidence, however few the values.

Everything here is valid at finite sample sizes; nothing assumes a normal distribution.

* Values that are all 0 or 1 are tested by the exact binomial test, whose inversion is the bound of
  Clopper and Pearson (Biometrika 1934).
* Other values from 0 to 1 are tested by betting (Waudby-Smith and Ramdas, "Estimating means of
  bounded random variables by betting", JRSS B 2024): who bets on each value as if the claim were
  true gets rich only where it is. The inverse of the wealth is a p-value (Ville's inequality), at
  every moment, so that a running test may be looked at after each value.
* Several candidates that are ordered before the values are seen are tested one after the other at
  the full level, until the first fails: fixed-sequence testing, as in "Learn then Test"
  (Angelopoulos, Bates, Candes, Jordan and Lei, AoAS 2025). Several such sequences share the level
  (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import takewhile

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

BETS = 12
"""How many stakes the wealth of who bets is spread over."""
_BETS = np.geomspace(0.01, 0.9, BETS)
"""Stakes, as shares of the highest that cannot ruin."""
_RESTART = 32
_BISECTIONS = 24


def binomial_tail(hits: int, n: int, chance: float) -> float:
    """The chance of at most `hits` in `n` independent trials that each hit with `chance`."""
    if hits >= n or chance <= 0:
        return 1.0
    if chance >= 1:
        return 0.0
    k = np.arange(hits + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log((n - k[:-1]) / (k[:-1] + 1)))])
    logs = ways + k * math.log(chance) + (n - k) * math.log1p(-chance)
    top = float(logs.max())
    return min(1.0, math.exp(top) * float(np.exp(logs - top).sum()))


def p_value(values: FloatArray, least: float) -> float:
    """The p-value against the claim that the mean of such values is at least `least`.

    Where the claim is false, the chance of a p-value of at most `x` is at most `x`.

    Args:
        values: independent, from 0 to 1, `float64`, shape (n,).
        least: from 0 to 1.
    """
    if least <= 0:
        return 0.0
    if not len(values) or least > 1:
        return 1.0
    losses = 1.0 - values
    if np.isin(values, (0.0, 1.0)).all():
        return binomial_tail(round(float(losses.sum())), len(values), 1 - least)
    running = RunningTest(least, above=True)
    running.add(values)
    return running.p_value


def needed(least: float, error: float) -> int:
    """How many values, all of them 1, show that the mean is at least `least`; 0 where none can.

    Args:
        least: from 0 to 1.
        error: the chance of a wrong claim that is allowed, from 0 to 1.
    """
    if not 0 < least < 1:
        return 0
    return math.ceil(math.log(error) / math.log(least) - 1e-9)


def needed_at(mean: float, least: float, error: float) -> int:
    """About how many values show that the mean is at least `least`, where they average `mean`;
    0 where the mean is not above it.

    By the large-deviation rate of 0/1 values: the binomial tail is about exp(-n KL(mean, least)).
    """
    if mean <= least:
        return 0
    rate = math.log(mean / least) * mean
    if mean < 1:
        rate += math.log((1 - mean) / (1 - least)) * (1 - mean)
    return math.ceil(math.log(1 / error) / rate)


def sequence(p_values: Iterable[float], error: float) -> int:
    """How many of the claims hold that were ordered, the safest first, before values were seen.

    The chance that any of them is false is at most `error`.
    """
    return sum(1 for _ in takewhile(lambda p: p <= error, p_values))


def bisect(holds: Callable[[float], bool], low: float = 0.0, high: float = 1.0) -> float:
    """The highest number between two for which a claim holds that is weaker for lower ones."""
    if holds(high):
        return high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def mean_interval(values: FloatArray, error: float = 0.05) -> tuple[float, float]:
    """An interval that holds the mean of such values with a chance of at least 1 - `error`.

    Args:
        values: independent, from 0 to 1, `float64`, shape (n,).
        error: shared evenly by both ends.

    Examples:
        >>> low, high = cf.mean_interval(np.array([1.0] * 98 + [0.0] * 2))
        >>> round(low, 3), round(high, 3)  # of Clopper and Pearson
        (0.93, 0.998)
    """
    if not len(values):
        return 0.0, 1.0
    low = bisect(lambda least: p_value(values, least) <= error / 2)
    high = 1 - bisect(lambda least: p_value(1 - values, least) <= error / 2)
    return low, high


class RunningTest:
    """Evidence that the mean of values is above a bound, or below it, value by value.

    Its p-value may be looked at after every value: the chance that it is ever at most `x`, though
    the mean is not on that side, is at most `x`.

    Args:
        bound: from 0 to 1, exclusive.
        above: whether the mean is claimed to be above the bound, or below it.
        restarts: also look for values whose mean left the bound some time after the first: after
            every 32 values new bets begin, the k-th with the share 1 / (k (k + 1)) of the capital.
            They find a change soon, whatever came before (e-detectors: Shin, Ramdas and Rinaldo,
            NEJSDS 2024).

    Attributes:
        n: values so far.

    Examples:
        >>> test = cf.RunningTest(0.98, above=False, restarts=True)
        >>> test.add([1.0] * 500)
        >>> test.p_value > 0.05
        True
        >>> test.add([0.0, 1.0] * 20)  # now half is lost
        >>> test.p_value < 0.001
        True
    """

    def __init__(self, bound: float, *, above: bool, restarts: bool = False) -> None:
        self._bound = min(max(bound, 1e-9), 1 - 1e-9)
        self._sign = 1.0 if above else -1.0
        worst = self._bound if above else 1 - self._bound
        self._stakes = _BETS / worst
        self._restarts = restarts
        self._log_wealth = np.full(len(_BETS), -math.inf if restarts else -math.log(len(_BETS)))
        self._most = 0.0
        self.n = 0

    def add(self, values: Iterable[float]) -> None:
        """Take in more values, from 0 to 1, in their order."""
        given = np.asarray(list(values), np.float64)
        gains = self._sign * (given - self._bound)
        logs = np.log1p(np.multiply.outer(gains, self._stakes))
        if not self._restarts:
            wealth = self._log_wealth + np.cumsum(logs, axis=0)
            self._most = max([self._most, *np.logaddexp.reduce(wealth, axis=1)])
            self._log_wealth = wealth[-1] if len(given) else self._log_wealth
            self.n += len(given)
            return
        for gained in logs:
            if self.n % _RESTART == 0:
                k = self.n // _RESTART + 1
                share = -math.log(k * (k + 1) * len(_BETS))
                self._log_wealth = np.logaddexp(self._log_wealth, share)
            self.n += 1
            self._log_wealth = self._log_wealth + gained
            self._most = max(self._most, float(np.logaddexp.reduce(self._log_wealth)))

    @property
    def p_value(self) -> float:
        """The p-value so far; it never rises."""
        return math.exp(-self._most)
