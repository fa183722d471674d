"""One level for a whole set of images, whose total meets a budget."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError
from codecframe.core.image import Image, Shape
from codecframe.core.parallel import chunks
from codecframe.core.settings import Settings
from codecframe.rate.budget import Accounting, Budget, counted_size
from codecframe.rate.curve import RateCurve

_CHUNK = 32
"""Images in memory at a time."""


def fit_mean(
    codec: Codec[Any],
    settings: Settings,
    images: Iterable[Image],
    budget: Budget,
    accounting: Accounting = Accounting.PAYLOAD,
) -> Settings:
    """The settings with the largest one level for all at which the images' total meets the budget.

    For several budgets, one `MeanSearch` encodes less.

    Raises:
        BudgetError: if even the lowest level is over.
    """
    return MeanSearch(codec, settings, images, accounting).fit(budget)


class MeanSearch:
    """Finds levels for mean budgets; what is encoded for one serves the others.

    Args:
        codec: the codec.
        settings: everything but the knob.
        images: gone through several times, a few images in memory at a time.
        accounting: which bytes count; one level for all costs no knob byte.
    """

    def __init__(
        self,
        codec: Codec[Any],
        settings: Settings,
        images: Iterable[Image],
        accounting: Accounting = Accounting.PAYLOAD,
    ) -> None:
        self._codec = codec
        self._settings = settings
        self._images = images
        self._accounting = accounting
        self._levels = knob.levels if (knob := settings.knob()) else 1
        self._curve = RateCurve(self._levels, 1)
        self._shapes: Counter[Shape] = Counter()
        self._sizes: dict[int, int] = {}  # of all images, by level

    def fit(self, budget: Budget) -> Settings:
        """The settings with the largest level at which the images' total meets the budget.

        Raises:
            BudgetError: if even the lowest level is over.
        """
        if not self._sizes:
            self._encode(self._levels // 2)
        allowed = sum(budget.allowance(shape) * count for shape, count in self._shapes.items())
        low, high = self._bracket(allowed)
        while high - low > 1:
            guess = self._guess(low, high, allowed)
            self._encode(min(max(guess, low + 1), high - 1))
            low, high = self._bracket(allowed)
        if low < 0:
            images = self._shapes.total()
            mean, each = self._sizes[0] / images, allowed / images
            raise BudgetError(
                f"{self._codec.name}: the smallest encodings average {mean:.0f} bytes "
                f"({self._accounting}), over the {each:.0f} allowed",
                asked=math.floor(each),
                smallest=math.ceil(mean),
            )
        return self._settings.at_level(low)

    def _bracket(self, allowed: float) -> tuple[int, int]:
        """(highest level that is known to fit, or -1; lowest above it that does not)."""
        low = max((level for level, size in self._sizes.items() if size <= allowed), default=-1)
        return low, min((level for level in self._sizes if level > low), default=self._levels)

    def _guess(self, low: int, high: int, allowed: float) -> int:
        if low in self._sizes and high in self._sizes:
            ends = (low, self._sizes[low]), (high, self._sizes[high])
            return self._curve.between(*ends, allowed)
        known = low if low in self._sizes else high
        return self._curve.next_guess({known: self._sizes[known]}, allowed)

    def _encode(self, level: int) -> None:
        first = not self._sizes
        settings = self._settings.at_level(level)
        total = 0
        for chunk in chunks(self._images, _CHUNK):
            for image, data in zip(chunk, self._codec.encode_many(chunk, settings), strict=True):
                total += counted_size(
                    self._codec, data, settings, self._accounting, knob_varies=False
                )
                self._shapes[image.shape[:2]] += first
        self._sizes[level] = total
        pixels = sum(rows * columns * count for (rows, columns), count in self._shapes.items())
        self._curve.learn(self._sizes, pixels)
