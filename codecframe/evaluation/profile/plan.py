"""What to measure: from codec specs, rates and budgets to points."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import Any

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.head import TaskHead
from codecframe.core.presets import parse_spec, presets_for
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.scaling import ScalableSettings
from codecframe.core.settings import Settings
from codecframe.evaluation.profile.levels import LevelSearch, Remembered, anew, names_of
from codecframe.evaluation.profile.table import TRIAL, Point
from codecframe.evaluation.profile.trial import Trial, TrialImages, split_trial, trial_step
from codecframe.evaluation.profile.variants import Variant
from codecframe.images import ImageItem
from codecframe.pipeline import join
from codecframe.rate import Accounting, Budget, Keep, Ladder, MeanSearch

DEFAULT_RATES = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2)
"""Bits per pixel at which codecs are compared unless told otherwise."""


@dataclass(frozen=True)
class Plan:
    """What a profile measures.

    Attributes:
        codecs: specs as `parse_spec` reads them; empty for every installed codec with a knob that
            emits what the head accepts first: what a simple decoder shows people is not for heads.
        scales: resolutions at which codecs are measured where `codecs` names none.
        presets: whether they are measured, too, with presets that come with them and were made for
            the head.
        rates: mean bits per pixel at which to measure; None for `DEFAULT_RATES`, unless `levels`,
            `budget` or `keep` says what to measure.
        levels: knob values at which to measure.
        budget: also measure the point at which the rate controller meets it.
        keep: also measure each codec around the fewest bytes that keep it; they are looked for on
            some of the images (`split_trial`).
        accounting: the bytes that rates and budget count.
        without: names of codecs that are left out, where `codecs` names none.
        tune: images on which the levels for `rates` are found; by default those that are measured,
            so that the mean over all of them is at or under each rate.
        fixed: points that were chosen before; these alone are then measured.
    """

    codecs: Sequence[str] = ()
    scales: Sequence[float] = (1.0,)
    presets: bool = False
    rates: Sequence[float] | None = None
    levels: Sequence[float] | None = None
    budget: Budget | None = None
    keep: Keep | None = None
    accounting: Accounting = Accounting.PAYLOAD
    tune: Sequence[ImageItem] | None = None
    without: Collection[str] = ()
    fixed: Sequence[Point] = ()

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
                if codec.name not in self.without
                and codec.settings_type.knob()
                and head.accepts == codec.emits[0]
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
        usual: Settings = codec.settings_type()
        scales = self.scales if isinstance(usual, ScalableSettings) else ()
        made = [usual.replace(scale=scale) for scale in scales] or [usual]
        return made + (presets_for(codec, head.name) if self.presets else [])

    def points(
        self,
        items: Sequence[ImageItem],
        head: TaskHead,
        *,
        prepare: bool,
        remembered: Remembered = anew,
        progress: ProgressMaker | None = None,
    ) -> list[Point]:
        """The points to measure, of these images before a head.

        Args:
            items, head, prepare, progress: as `profile_images` has them.
            remembered: remembers what searches found, as `ProfileTable.remembered` does.

        Raises:
            DataError: if rates are asked for and no image can be read.
        """
        if self.fixed:
            return list(self.fixed)
        geometry = head if prepare else None
        rates = self.rates
        if rates is None and self.levels is None and self.budget is None and self.keep is None:
            rates = DEFAULT_RATES
        points: list[Point] = []
        variants = self.variants(head)
        with (progress or Silent)(len(variants)) as display:
            tell = partial(display.advance, 0)
            every = LevelSearch(items, geometry, self.accounting, remembered, tell)
            tuning = every
            if self.tune is not None:
                tuning = LevelSearch(self.tune, geometry, self.accounting, remembered, tell)
            for variant in variants:
                tell(f"levels of {variant.codec.name}")
                points += self._points_of(variant, rates, tuning, every)
                display.advance(1, "")
            if self.keep is not None:
                points += self._keeping(items, head, variants, prepare, remembered, tell)
        return list({point.key: point for point in points}.values())

    def _points_of(
        self,
        variant: Variant,
        rates: Sequence[float] | None,
        tuning: LevelSearch,
        every: LevelSearch,
    ) -> list[Point]:
        """The points of one codec: for rates on the tuning images, for a budget on every image."""
        points: list[Point] = []
        codec, settings = variant.codec, variant.settings
        if rates:
            find = partial(points_for_rates, variant, rates)
            points += tuning.points(codec, settings, list(rates), find)
        if self.levels is not None:
            points += points_for_levels(variant, self.levels)
        if (budget := self.budget) is not None:

            def meet(search: MeanSearch) -> list[Point]:
                return [point_for_budget(variant, budget, self.accounting, search)]

            points += every.points(codec, settings, asdict(budget), meet)
        return points

    def _keeping(
        self,
        items: Sequence[ImageItem],
        head: TaskHead,
        variants: Sequence[Variant],
        prepare: bool,
        remembered: Remembered,
        tell: Callable[[str], None],
    ) -> list[Point]:
        """Each codec around the fewest bytes that keep what must stay right."""
        assert self.keep is not None  # noqa: S101 - it was asked for
        keep, error = self.keep, self.keep.error / len(variants)
        trying, deciding = split_trial(items, keep, error)
        images = cache(partial(TrialImages.read, trying, head, prepare=prepare))
        points: list[Point] = []
        for variant in variants:

            def around(variant: Variant = variant) -> list[dict[str, Any]]:
                trial = Trial(variant, images(), keep, self.accounting, len(deciding), error)
                return [asdict(point) for point in trial.points(trial.best().bytes)]

            tell(f"what keeps {keep} of {variant.codec.name}")
            key = {
                "keep": str(keep),
                "confidence": keep.confidence,
                "codec": variant.codec.name,
                "settings": variant.settings.to_dict(),
                "accounting": str(self.accounting),
                "images": names_of(items),
                TRIAL: trial_step(len(items)),
            }
            found = remembered(json.dumps(key, sort_keys=True), around)
            points += [Point(**values) for values in found]
        return points


def points_for_rates(variant: Variant, rates: Iterable[float], search: MeanSearch) -> list[Point]:
    """Fixed settings whose mean rates come closest under `rates` (bits per pixel).

    A codec that cannot go as low as some rate is measured at its lowest level instead; one without
    a knob at its only one.
    """
    chosen = dict.fromkeys(search.closest(Budget(rate, "bpp", "mean")) for rate in sorted(rates))
    return [variant.at(settings) for settings in chosen]


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
    variant: Variant, budget: Budget, accounting: Accounting, search: MeanSearch
) -> Point:
    """The point at which a rate controller meets a budget.

    A mean budget is met by one level for all images, which `search` finds; a cap or a link by a
    level for each image, found while measuring. A codec whose lowest level is over a mean budget
    is measured there, so that a selection can say by how much.
    """
    settings = variant.settings
    if budget.mode == "mean":
        settings = search.closest(budget)
    elif not Ladder(settings).has_pictures:
        settings = settings.at_level(0)  # the knob is not part of the point's identity
    return replace(
        variant.at(settings), budget=str(budget), mode=budget.mode, accounting=str(accounting)
    )
