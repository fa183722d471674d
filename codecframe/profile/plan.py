"""What to measure: from codec specs, rates and budgets to points."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from codecframe import registry
from codecframe.codec import Codec
from codecframe.errors import BudgetError, DataError
from codecframe.head import TaskHead
from codecframe.image import Image
from codecframe.images import ImageItem
from codecframe.profile.table import Point
from codecframe.rate import Accounting, Budget, fit_mean
from codecframe.settings import Settings

DEFAULT_RATES = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2)
"""Bits per pixel at which codecs are compared unless told otherwise."""
_SAMPLE = 64
"""Images, spread over the set, on which the levels for given rates are found."""


@dataclass(frozen=True)
class Variant:
    """A codec with everything but its knob decided."""

    codec: Codec[Any]
    settings: Settings

    @classmethod
    def parse(cls, spec: str) -> Variant:
        """Read `jpeg` or `jpeg:subsampling=4:4:4,optimize=true`.

        Raises:
            UnknownNameError: if there is no such codec.
            SettingsError: if a setting is not the codec's.
        """
        name, _, assignments = spec.partition(":")
        codec = registry.default().codec(name.strip())
        texts = re.split(r",(?=\w+=)", assignments) if assignments else []
        return cls(codec, codec.settings_type.parse(texts))

    def at(self, settings: Settings) -> Point:
        """The point of this codec at fixed settings."""
        return Point(self.codec.name, settings.to_dict())


class Prepared:
    """Images of a set, read and prepared anew in every pass; unreadable ones are left out."""

    def __init__(self, items: Sequence[ImageItem], head: TaskHead | None) -> None:
        self._items = items
        self._head = head

    def __iter__(self) -> Iterator[Image]:
        for item in self._items:
            try:
                image = item.read()
            except DataError:
                continue
            yield image if self._head is None else self._head.prepare(image)


def sample(items: Sequence[ImageItem], count: int = _SAMPLE) -> list[ImageItem]:
    """At most `count` items spread evenly over the set."""
    step = max(1, len(items) // count)
    return [items[i] for i in range(0, len(items), step)][:count]


def points_for_rates(
    variant: Variant,
    images: Iterable[Image],
    rates: Iterable[float],
    accounting: Accounting,
) -> list[Point]:
    """Fixed settings whose mean rates over `images` come closest under `rates` (bits per pixel).

    A codec that cannot go as low as some rate is measured at its lowest level instead; one without
    a knob at its only one.
    """
    chosen: dict[int, Settings] = {}
    for rate in sorted(rates):
        budget = Budget(rate, "bpp", "mean")
        try:
            settings = fit_mean(variant.codec, variant.settings, images, budget, accounting)
        except BudgetError:
            settings = variant.settings.at_level(0)
        chosen[settings.level] = settings
    return [variant.at(settings) for settings in chosen.values()]


def points_for_levels(variant: Variant, values: Iterable[float]) -> list[Point]:
    """Fixed settings with the knob at the given values.

    Raises:
        SettingsError: if a value is out of the knob's range.
    """
    knob = variant.settings.knob()
    if knob is None:
        return [variant.at(variant.settings)]
    return [variant.at(variant.settings.replace(**{knob.field: value})) for value in values]


def point_for_budget(
    variant: Variant, images: Iterable[Image], budget: Budget, accounting: Accounting
) -> Point:
    """The point at which a rate controller meets a budget.

    A mean budget is met by one level for all images, found here over all of them; a cap or a link
    by a level for each image, found while measuring.

    Raises:
        BudgetError: if even the lowest level's mean is over a mean budget.
    """
    settings = variant.settings
    if budget.mode == "mean":
        settings = fit_mean(variant.codec, settings, images, budget, accounting)
    elif settings.knob():
        settings = settings.at_level(0)  # the knob is not part of the point's identity
    return replace(
        variant.at(settings), budget=str(budget), mode=budget.mode, accounting=str(accounting)
    )
