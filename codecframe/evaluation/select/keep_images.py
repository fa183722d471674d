"""Selection straight from images, by what must stay right.

Some of the images are for trial: on them alone the levels are searched, in any way that is quick.
They say which codecs could win and at which levels, the safest first. The other images decide, by
`select_keeping`, which is valid because nothing about them was seen before: split fixed-sequence
testing (Angelopoulos et al., "Learn then Test", AoAS 2025).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from codecframe.core.errors import MismatchError, PluginError
from codecframe.core.head import TaskHead
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.statistics import wilson
from codecframe.evaluation.profile import (
    Description,
    Plan,
    Point,
    ProfileTable,
    Seen,
    Trial,
    TrialImages,
    Variant,
    profile_images,
    split_trial,
)
from codecframe.evaluation.select.answer import Candidate, Selection
from codecframe.evaluation.select.cascades import AUTO
from codecframe.evaluation.select.images import profile_path, shares
from codecframe.evaluation.select.keeping import FIT, select_keeping
from codecframe.evaluation.select.limits import Limits
from codecframe.images import ImageItem
from codecframe.pipeline import DeviceHead
from codecframe.rate import Accounting, Keep

FINALISTS = 3
"""So many codec variants are tested at most: each costs certainty."""
_CONTENDS = 1.15
"""A variant goes on if it keeps enough at this multiple of the fewest bytes so far."""


@dataclass(frozen=True)
class _Tried:
    """A variant after the trial: at the fewest bytes at which it kept enough, or else the most."""

    head: TaskHead
    trial: Trial
    last: Seen

    @property
    def rank(self) -> tuple[bool, float]:
        """Its place among those that could win, lowest first."""
        return not self.last.enough, self.last.bytes if self.last.enough else -self.last.kept


def select_keeping_on_images(
    path: Path | str,
    items: Sequence[ImageItem],
    heads: TaskHead | Sequence[TaskHead],
    keep: Keep,
    accounting: Accounting = Accounting.PAYLOAD,
    codecs: Sequence[str] = (),
    limits: Limits | None = None,
    *,
    prepare: bool = True,
    progress: ProgressMaker | None = None,
    devices: Sequence[DeviceHead] = (),
    sure: float | Literal["auto"] | None = None,
) -> Selection:
    """The codec and settings of the fewest bytes that keep what must stay right, for sure.

    Args:
        path: where the profile of the images that decide is kept; those of further heads beside it.
        items: the images.
        keep: what must stay right.
        heads, accounting, codecs, limits, prepare, progress, devices: as `select_on_images` takes
            them.
        sure: as `select_keeping` takes it.

    Raises:
        BudgetError: if the images are too few to show it; says how many are needed.
        MismatchError: as `select_on_images`, or if labels are needed and there are none.
        PluginError: if all codecs that were named fail; where some do, the others are compared.
    """
    judges, limits = [heads] if isinstance(heads, TaskHead) else heads, limits or Limits()
    chosen = [
        (head, variant)
        for head, named in shares(judges, codecs)
        for variant in Plan(codecs=named, scales=(1.0, 0.5), presets=True).variants(head)
        if limits.allow(variant.codec.name)
    ]
    if not chosen:
        raise MismatchError("no codec is within the limits: `codecframe bench device` says why")
    error = keep.error / (min(FINALISTS, len(chosen)) * max(len(devices), 1))
    trying, deciding = split_trial(items, keep, error, FIT if sure == AUTO else 0)
    failed: dict[str, str] = {}
    tried = _tried(
        chosen, trying, keep, accounting, len(deciding), error, failed, prepare, progress
    )
    able = [one for one in tried if not limits.refuse(_as_candidate(one), one.trial.pixels)]
    last = sorted(able or tried, key=lambda one: one.rank)
    able = [one for one in last if one.last.enough] or last
    finalists = able[:FINALISTS]
    sequences = [one.trial.points(one.last.bytes) for one in finalists]
    test = _Test(keep, keep.error / len(finalists), sequences, len(deciding))
    with ExitStack() as stack:
        tables: list[ProfileTable] = []
        for head in dict.fromkeys(one.head for one in finalists):
            own = Path(path) if not tables else profile_path(Path(path), head)
            pairs = zip(finalists, sequences, strict=True)
            plan = Plan(fixed=[p for one, points in pairs if one.head is head for p in points])
            table = profile_images(
                own, deciding, head, plan, prepare=prepare, progress=progress, devices=devices,
                wanted=None if devices else test.wants,
            )  # fmt: skip
            tables.append(stack.enter_context(table))
            if not devices:
                test.drop(table)
        found = select_keeping(tables, keep, accounting, limits=limits, sure=sure)
    rest = [_as_candidate(one) for one in last if one not in finalists]
    return replace(found, others=(*found.others, *rest), failed=failed)


class _Test:
    """Says which points are still to be measured: of a codec variant the safest, and those down to
    the first that cannot be shown to keep enough any more, whatever the images left are like.

    Args:
        keep: what must stay right.
        error: the chance of a wrong claim that each variant is allowed.
        sequences: points of each variant, the safest first.
        images: how many decide.
    """

    def __init__(
        self, keep: Keep, error: float, sequences: Sequence[Sequence[Point]], images: int
    ) -> None:
        self._keep, self._error, self._images = keep, error, images
        self._down_to = {
            point.key: sequence[: place + 1]
            for sequence in sequences
            for place, point in enumerate(sequence)
            if place
        }
        self._hopeless: set[tuple[str, ...]] = set()

    def wants(self, table: ProfileTable, point: Point) -> bool:
        """Whether a point is to be measured further."""
        above = self._down_to.get(point.key, ())
        return not any(self._is_hopeless(table, each) for each in above)

    def _is_hopeless(self, table: ProfileTable, point: Point) -> bool:
        if point.key not in self._hopeless:
            number = table.add_point(point)
            found = table.outcomes(number, table.measured_by([number]))
            best = found.and_kept(self._images - len(found))
            if self._keep.p_value(best) > self._error:
                self._hopeless.add(point.key)
        return point.key in self._hopeless

    def drop(self, table: ProfileTable) -> None:
        """Forget what was measured of points that are not wanted: all would be compared on the few
        images that these have.
        """
        for number, point in table.points().items():
            if not self.wants(table, point):
                table.remove(number)


def _tried(
    chosen: Sequence[tuple[TaskHead, Variant]],
    trying: Sequence[ImageItem],
    keep: Keep,
    accounting: Accounting,
    deciding: int,
    error: float,
    failed: dict[str, str],
    prepare: bool,
    progress: ProgressMaker | None,
) -> list[_Tried]:
    """Each variant after the trial; the later ones only as far as they could still win."""
    images: dict[str, TrialImages] = {}
    found: list[_Tried] = []
    fewest = math.inf
    with (progress or Silent)(len(chosen)) as display:
        for head, variant in chosen:
            display.advance(0, f"trial of {variant.codec.name}")
            if head.name not in images:
                images[head.name] = TrialImages.read(trying, head, prepare=prepare)
            trial = Trial(variant, images[head.name], keep, accounting, deciding, error)
            try:
                last = trial.best(None if fewest == math.inf else _CONTENDS * fewest)
            except PluginError as broken:
                failed[variant.codec.name] = str(broken)
            else:
                found.append(_Tried(head, trial, last))
                fewest = min(fewest, last.bytes if last.enough else math.inf)
            display.advance(1, "")
    if not found:
        name, why = next(iter(failed.items()))
        raise PluginError(name, why, codec=name)
    return found


def _as_candidate(one: _Tried) -> Candidate:
    """A variant that was only tried: why it is not among the finalists."""
    variant = one.trial.variant
    settings = variant.settings.at_level(one.last.level)
    about = Description.of(variant.codec.name, settings.to_dict())
    low, high = wilson(min(one.last.kept, 1.0), one.last.images)
    how = "enough" if one.last.enough else f"{100 * one.last.kept:.1f} %"
    return Candidate(
        codec=variant.codec.name,
        head=one.head.name,
        settings=settings.to_dict(),
        words=about.words,
        knob=about.knob_at([one.last.level]),
        fits=False,
        score=one.last.kept,
        low=low,
        high=high,
        bytes_per_image=one.last.bytes,
        bpp=8 * one.last.bytes / one.trial.pixels,
        encode_us=0.0,
        decode_us=0.0,
        needs=None,
        why=f"kept {how} of {one.last.images} trial images at these bytes, and was not tested",
    )
