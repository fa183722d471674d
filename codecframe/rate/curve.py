"""A small model of how a codec's bytes grow with its knob, learned while encoding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_PRIOR_RANGE = 4.5
"""log(bytes at the top level / bytes at the bottom level) assumed before anything was encoded."""
_TELLING = 0.1
"""A difference in log(bytes) between two levels that is more than the chance of rounding."""
_STEEPNESS = 0.2, 5.0
"""What an image's own steepness may be, by that of the curve."""
_LEARN = 0.5
"""Weight of a new image's slopes against what was learned before."""


class RateCurve:
    """log(bytes) of an image = its complexity + a function of the level shared by all images.

    The shared function is kept as slopes between neighbouring levels and follows the images that
    were encoded; a new image's complexity shows in its first encode. That makes the second encode
    of a search land within a few per cent of its target.

    Args:
        levels: how many levels the knob has.
        memory: over about how many images the typical complexity is averaged.
    """

    def __init__(self, levels: int, memory: int = 4) -> None:
        self._slopes = np.full(max(levels - 1, 1), _PRIOR_RANGE / max(levels - 1, 1))
        self._memory = memory
        self.images = 0
        self._complexity = 1.0  # mean bytes a pixel at level 0

    def first_guess(self, pixels: int, target: float) -> int:
        """The level at which an unseen image of that many pixels likely costs `target` bytes."""
        if not self.images:
            return len(self._slopes) // 2
        return self._nearest(math.log(max(target, 1.0) / pixels / self._complexity))

    def next_guess(self, sizes: Mapping[int, int], target: float) -> int:
        """The level at which an image likely costs `target` bytes, after `sizes` by level.

        From two sizes on, the image's own steepness counts.
        """
        shared, target = self._shared(), max(target, 1.0)
        known = sorted(sizes, key=lambda level: abs(math.log(max(sizes[level], 1) / target)))
        level = known[0]
        rise = math.log(target / max(sizes[level], 1))
        expected = float(shared[level] - shared[known[1]]) if len(known) > 1 else 0.0
        if abs(expected) > _TELLING:
            seen = math.log(max(sizes[level], 1) / max(sizes[known[1]], 1))
            rise /= min(max(seen / expected, _STEEPNESS[0]), _STEEPNESS[1])
        return self._nearest(float(shared[level]) + rise)

    def between(self, low: tuple[int, int], high: tuple[int, int], target: float) -> int:
        """The level inside a bracket of two (level, size) at which `target` bytes are likely."""
        shared = self._shared()
        span = math.log(high[1] / max(low[1], 1))
        share = math.log(max(target, 1.0) / max(low[1], 1)) / span if span > 0 else 0.5
        start, end = float(shared[low[0]]), float(shared[high[0]])
        return self._nearest(start + share * (end - start))

    def predict(self, level: int, size: int, other: int) -> float:
        """Bytes that an image likely costs at level `other`, after `size` at `level`."""
        shared = self._shared()
        return size * math.exp(float(shared[other] - shared[level]))

    def learn(self, sizes: Mapping[int, int], pixels: int, weight: float = _LEARN) -> None:
        """Take in one image's bytes by level; at weight 1 nothing that was known before counts."""
        known = sorted((level, math.log(max(size, 1))) for level, size in sizes.items())
        if not self.images and len(known) > 1:  # levels that were not seen are alike
            (low, log_low), (high, log_high) = known[0], known[-1]
            rise = max(log_high - log_low, 1e-3)
            self._slopes *= (rise / float(self._slopes[low:high].sum())) ** weight
        for (low, log_low), (high, log_high) in pairwise(known):
            predicted = float(self._slopes[low:high].sum())
            rise = max(log_high - log_low, 1e-3)
            self._slopes[low:high] *= (rise / predicted) ** weight
        level, log_size = known[-1]
        complexity = math.exp(log_size - float(self._shared()[level])) / pixels
        self.images += 1
        share = max(1 / self.images, 1 / self._memory)
        self._complexity += share * (complexity - self._complexity)

    def _shared(self) -> npt.NDArray[np.float64]:
        return np.concatenate([[0.0], np.cumsum(self._slopes)])

    def _nearest(self, wanted: float) -> int:
        return int(np.abs(self._shared() - wanted).argmin())
