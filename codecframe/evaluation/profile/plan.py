"""What to measure: from codec specs, rates and budgets to points."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import Any

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError, DataError
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.core.presets import parse_spec, presets_for
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.scaling import ScalableSettings
from codecframe.core.settings import Settings
from codecframe.evaluation.profile.table import Point
from codecframe.images import ImageItem
from codecframe.pipeline import join
from codecframe.rate import Accounting, Budget, MeanSearch, fit_mean

DEFAULT_RATES = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2)
"""Bits per pixel at which codecs are compared unless told otherwise."""
_SAMPLE = 64
"""Images, spread over the set, on which the levels for given rates are found."""


@dataclass(frozen=True)
class Variant:
    """A codec with everything but its knob decided."""

    codec: Codec[Any]
    settings: Settings

    def at(self, settings: Settings) -> Point:
        """The point of this codec at fixed settings."""
        return Point(self.codec.name, settings.to_dict())


def _at_scales(settings: Settings, scales: Sequence[float]) -> list[Settings]:
    """The settings at each resolution that they can have."""
    if not isinstance(settings, ScalableSettings):
        return [settings]
    return [settings.replace(scale=scale) for scale in scales]


Searched = Callable[[str, Callable[[], list[Point]]], list[Point]]
"""Given all that a search depends on, and the search, gives what it finds, or found earlier."""


def _anew(_key: str, search: Callable[[], list[Point]]) -> list[Point]:
    return search()


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


@dataclass(frozen=True)
class Plan:
    """What a profile measures.

    Attributes:
        codecs: specs as `parse_spec` reads them; empty for every installed codec with a knob that
            emits what the head accepts first: what a simple decoder shows people is not for heads.
        scales: resolutions at which codecs are measured where `codecs` names none.
        presets: whether they are measured, too, with presets that come with them and were made for
            the head.
        rates: mean bits per pixel at which to measure; None for `DEFAULT_RATES`, unless `levels`
            or `budget` says what to measure.
        levels: knob values at which to measure.
        budget: also measure the point at which the rate controller meets it.
        accounting: the bytes that rates and budget count.
        tune: images on which the levels for `rates` are found; by default a sample of those that
            are measured.
    """

    codecs: Sequence[str] = ()
    scales: Sequence[float] = (1.0,)
    presets: bool = False
    rates: Sequence[float] | None = None
    levels: Sequence[float] | None = None
    budget: Budget | None = None
    accounting: Accounting = Accounting.PAYLOAD
    tune: Sequence[ImageItem] | None = None

    def variants(self, head: TaskHead) -> list[Variant]:
        """The codecs to measure.

        Raises:
            DependencyError: if one that was named lacks an optional package.
            MismatchError: if one that was named does not fit the head.
        """
        if not self.codecs:
            return [
                Variant(codec, settings)
                for codec in registry.available(registry.default().codecs.values())
                if codec.settings_type.knob() and head.accepts == codec.emits[0]
                for settings in self._tried(codec, head)
            ]
        variants = [Variant(*parse_spec(spec)) for spec in self.codecs]
        for variant in variants:
            join(variant.codec, head)
            for package, install in variant.codec.requires.items():
                registry.require(package, install)
        return variants

    def _tried(self, codec: Codec[Any], head: TaskHead) -> list[Settings]:
        """The settings at which a codec is measured that was not named."""
        made = presets_for(codec, head.name) if self.presets else []
        return _at_scales(codec.settings_type(), self.scales) + made

    def points(
        self,
        items: Sequence[ImageItem],
        head: TaskHead,
        *,
        prepare: bool,
        searched: Searched = _anew,
        progress: ProgressMaker | None = None,
    ) -> list[Point]:
        """The points to measure.

        Args:
            items: the images.
            head: what will judge them.
            prepare: whether images are brought to the geometry the head looks at.
            searched: remembers what searches found, as `ProfileTable.searched` does.
            progress: shows how many codecs' levels are found.

        Raises:
            DataError: if rates are asked for and no image can be read.
        """
        geometry = head if prepare else None
        rates = self.rates
        if rates is None and self.levels is None and self.budget is None:
            rates = DEFAULT_RATES
        tune = sample(items) if self.tune is None else self.tune

        @cache
        def some() -> list[Image]:
            images = list(Prepared(tune, geometry))
            if not images:
                raise DataError("images", "none of them can be read")
            return images

        def at_rates(variant: Variant, rates: Sequence[float]) -> list[Point]:
            return points_for_rates(variant, some(), rates, self.accounting)

        def at_budget(variant: Variant, budget: Budget) -> list[Point]:
            every = Prepared(items, geometry)
            return [point_for_budget(variant, every, budget, self.accounting)]

        points: list[Point] = []
        variants = self.variants(head)
        with (progress or Silent)(len(variants)) as display:
            for variant in variants:
                display.advance(0, f"levels of {variant.codec.name}")
                if rates:
                    key = self._key(variant, tune, list(rates))
                    points += searched(key, partial(at_rates, variant, rates))
                if self.levels is not None:
                    points += points_for_levels(variant, self.levels)
                if self.budget is not None:
                    key = self._key(variant, items, asdict(self.budget))
                    points += searched(key, partial(at_budget, variant, self.budget))
                display.advance(1, "")
        return points

    def _key(self, variant: Variant, images: Sequence[ImageItem], wanted: object) -> str:
        """All that a search depends on, for one head."""
        names = "\0".join(image.name for image in images)
        return json.dumps(
            {
                "codec": variant.codec.name,
                "settings": variant.settings.to_dict(),
                "wanted": wanted,
                "accounting": str(self.accounting),
                "images": hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest(),
            },
            sort_keys=True,
        )


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
    search = MeanSearch(variant.codec, variant.settings, images, accounting)
    for rate in sorted(rates):
        try:
            settings = search.fit(Budget(rate, "bpp", "mean"))
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
    by a level for each image, found while measuring. A codec whose lowest level is over a mean
    budget is measured there, so that a selection can say by how much.
    """
    settings = variant.settings
    if budget.mode == "mean":
        try:
            settings = fit_mean(variant.codec, settings, images, budget, accounting)
        except BudgetError:
            settings = settings.at_level(0)
    elif settings.knob():
        settings = settings.at_level(0)  # the knob is not part of the point's identity
    return replace(
        variant.at(settings), budget=str(budget), mode=budget.mode, accounting=str(accounting)
    )
