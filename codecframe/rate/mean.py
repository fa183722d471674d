"""One level for a whole set of images, whose total meets a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError
from codecframe.core.image import Image
from codecframe.core.parallel import chunks
from codecframe.core.settings import Settings
from codecframe.rate.budget import Accounting, Budget, counted_size
from codecframe.rate.curve import RateCurve
from codecframe.rate.ladder import Ladder

_CHUNK = 32
"""Images in memory at a time."""
_SURELY_OVER = 1.01
"""The next level is not tried where a sample expects it this far over the budget."""


@dataclass(frozen=True)
class SetSize:
    """What a set of images is, and costs at one level.

    Attributes:
        images: how many.
        pixels: of all images.
        bytes: counted bytes of all encodings.
    """

    images: int = 0
    pixels: int = 0
    bytes: int = 0

    def __add__(self, other: SetSize) -> SetSize:
        """Both sets together."""
        return SetSize(
            self.images + other.images, self.pixels + other.pixels, self.bytes + other.bytes
        )


def set_size(
    codec: Codec[Any], images: Iterable[Image], accounting: Accounting, settings: Settings
) -> SetSize:
    """Encode a set with the same settings for all, a few images in memory at a time."""
    total = SetSize()
    for chunk in chunks(images, _CHUNK):
        for image, data in zip(chunk, codec.encode_many(chunk, settings), strict=True):
            size = counted_size(codec, data, settings, accounting)
            total += SetSize(1, image.shape[0] * image.shape[1], size)
    return total


def fit_mean(
    codec: Codec[Any],
    settings: Settings,
    images: Iterable[Image],
    budget: Budget,
    accounting: Accounting = Accounting.PAYLOAD,
) -> Settings:
    """The settings with the largest one level for all at which the images' total meets the budget;
    where they want a picture layer, the knob is at most theirs, and then the picture's level grows.

    For several budgets, one `MeanSearch` encodes less.

    Raises:
        BudgetError: if even the lowest level is over.

    Examples:
        >>> codec, budget = cf.get_codec("webp"), cf.Budget.parse("900B", mode="mean")
        >>> settings = cf.fit_mean(codec, codec.settings(), [photo, photo], budget)
        >>> len(codec.strip(codec.encode(photo, settings))) <= 900
        True
    """
    return MeanSearch(codec, settings, images, accounting).fit(budget)


def fit_levels(
    codec: Codec[Any],
    settings: Settings,
    images: Iterable[Image],
    budgets: Iterable[Budget],
    accounting: Accounting = Accounting.PAYLOAD,
) -> tuple[int, ...]:
    """The largest levels at which the images' total meets each of several mean budgets, ascending,
    each once; the lowest for budgets that the codec cannot reach.

    Raises:
        BudgetError: if it reaches none of them.

    Examples:
        >>> codec = cf.get_codec("webp")
        >>> budgets = [cf.Budget.parse(text, mode="mean") for text in ("500B", "900B")]
        >>> levels = cf.fit_levels(codec, codec.settings(), [photo, photo], budgets)
        >>> levels[0] < levels[1]
        True
    """
    search = MeanSearch(codec, settings, images, accounting)
    found, over = set(), None
    for budget in budgets:
        try:
            found.add(search.fit(budget).level)
        except BudgetError as error:
            over = error
    if over is not None and not found:
        raise over
    return tuple(sorted(found | ({0} if over else set())))


class MeanSearch:
    """Finds levels for mean budgets; what is encoded for one serves the others.

    Args:
        codec: the codec.
        settings: everything but the knob; where they want a picture layer, the highest level of the
            knob, too.
        images: gone through several times, a few images in memory at a time.
        accounting: which bytes count; one level for all costs no knob byte.
        guide: a search over a sample of the images. It says where to look first, and a level that
            it expects more than 1 % over a budget is not tried: one or two passes over the images
            then do for a budget. Without it the answer is exact.
        size_of: how large the images are at some settings; by default they are encoded.
    """

    def __init__(
        self,
        codec: Codec[Any],
        settings: Settings,
        images: Iterable[Image],
        accounting: Accounting = Accounting.PAYLOAD,
        *,
        guide: MeanSearch | None = None,
        size_of: Callable[[Settings], SetSize] | None = None,
    ) -> None:
        self._name = codec.name
        self._ladder = Ladder(settings)
        self._accounting = accounting
        self._size_of = size_of or partial(set_size, codec, images, accounting)
        self._guide = guide
        self._levels = self._ladder.rungs
        self._curve = RateCurve(self._levels, 1)
        self._sizes: dict[int, SetSize] = {}  # of all images, by level

    def fit(self, budget: Budget) -> Settings:
        """The settings with the largest level at which the images' total meets the budget.

        Raises:
            BudgetError: if even the lowest level is over.
        """
        Budget.of(budget)  # refuses what must stay right
        level = self._largest_for(budget)
        if level < 0:
            found = self.size(0)
            mean, each = found.bytes / found.images, self._allowed(budget) / found.images
            raise BudgetError(
                f"{self._name}: the smallest encodings average {mean:.0f} bytes "
                f"({self._accounting}), over the {each:.0f} allowed",
                asked=math.floor(each),
                smallest=math.ceil(mean),
            )
        return self._ladder.at(level)

    def closest(self, budget: Budget) -> Settings:
        """As `fit`; the lowest level where even that is over the budget."""
        try:
            return self.fit(budget)
        except BudgetError:
            return self._ladder.at(0)

    def size(self, level: int) -> SetSize:
        """What the images cost at a level; they are encoded where that is not known."""
        if level not in self._sizes:
            found = self._sizes[level] = self._size_of(self._ladder.at(level))
            self._curve.learn({n: each.bytes for n, each in self._sizes.items()}, found.pixels)
        return self._sizes[level]

    def _largest_for(self, budget: Budget) -> int:
        """The largest level that meets a budget, or -1."""
        if not self._sizes:
            first = self._levels // 2
            if self._guide is not None:
                first = max(self._guide._largest_for(budget), 0)
            self.size(first)
        return self._largest(self._allowed(budget))

    def _allowed(self, budget: Budget) -> float:
        known = next(iter(self._sizes.values()))
        return budget.total(known.images, known.pixels)

    def _largest(self, allowed: float) -> int:
        """The largest level of at most so many bytes for all images, or -1."""
        low, high = self._bracket(allowed)
        while high - low > 1 and not self._expected_over(low, allowed):
            guess = self._guess(low, high, allowed)
            self.size(min(max(guess, low + 1), high - 1))
            low, high = self._bracket(allowed)
        return low

    def _bracket(self, allowed: float) -> tuple[int, int]:
        """(highest level that is known to fit, or -1; lowest above it that does not)."""
        fitting = (level for level, size in self._sizes.items() if size.bytes <= allowed)
        low = max(fitting, default=-1)
        return low, min((level for level in self._sizes if level > low), default=self._levels)

    def _expected_over(self, low: int, allowed: float) -> bool:
        """Whether the sample tells that the level above `low`, which fits, does not."""
        if self._guide is None or low < 0:
            return False
        growth = self._guide.size(low + 1).bytes / max(self._guide.size(low).bytes, 1)
        return self._sizes[low].bytes * growth > allowed * _SURELY_OVER

    def _guess(self, low: int, high: int, allowed: float) -> int:
        known = low if low in self._sizes else high
        if self._guide is not None:  # where the sample, costing as much more or less, would fit
            share = self._guide.size(known).bytes / max(self._sizes[known].bytes, 1)
            return self._guide._largest(allowed * share)
        if low in self._sizes and high in self._sizes:
            ends = (low, self._sizes[low].bytes), (high, self._sizes[high].bytes)
            return self._curve.between(*ends, allowed)
        return self._curve.next_guess({known: self._sizes[known].bytes}, allowed)
