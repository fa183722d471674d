"""Choosing the codec and settings of the fewest bytes that keep what must stay right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from codecframe.core import guarantees
from codecframe.core.errors import DataError
from codecframe.core.statistics import wilson
from codecframe.evaluation.profile import Point, ProfileTable, comparable, coverage
from codecframe.evaluation.select.answer import Candidate, Selection, share
from codecframe.evaluation.select.candidates import View
from codecframe.evaluation.select.choose import left_out_of, wanted_codecs
from codecframe.evaluation.select.limits import Limits
from codecframe.rate import Accounting, Keep, Outcomes


@dataclass(frozen=True)
class _Tested:
    """A codec variant's points, the safest first, and how many of them keep enough for sure."""

    view: View
    numbers: list[int]
    outcomes: list[Outcomes]
    sure: int

    @property
    def chosen(self) -> int:
        """Index of the point with the fewest bytes that surely keeps enough, or of the safest."""
        return max(self.sure - 1, 0)


def select_keeping(
    profiles: ProfileTable | Sequence[ProfileTable],
    keep: Keep,
    accounting: Accounting = Accounting.PAYLOAD,
    codecs: Iterable[str] | None = None,
    limits: Limits | None = None,
) -> Selection:
    """The codec and settings of the fewest bytes that keep what must stay right, for sure.

    The points of a codec variant are tested from the highest level of its knob down, until the
    first that cannot be shown to keep enough: fixed-sequence testing, which costs nothing for the
    number of levels. Variants share the error that is allowed evenly (Bonferroni), because the
    cheapest of all is chosen. So the chance that the choice keeps less than is promised, of images
    like these, is at most 1 - `keep.confidence`; see `codecframe.core.guarantees`. This holds for
    points that were chosen without looking at what the head makes of these images.

    Args:
        profiles: a profile, or several of the same images: one for each of several heads.
        keep: what must stay right.
        accounting: which bytes count.
        codecs: only consider these.
        limits: what the encoder may cost; a codec over them is not chosen.

    Raises:
        UnknownNameError: if a codec in `codecs` is not in the profiles.
        DataError: if they hold no measurements, or none of the same images.
        MismatchError: if the profiles cannot be compared, or do not know what is asked for.
    """
    tables = comparable(profiles)
    covered = coverage(tables, wanted_codecs(tables, codecs))
    views = [
        View(table, numbers, covered.images)
        for table, numbers in zip(tables, covered.kept, strict=True)
    ]
    families = [
        (view, points)
        for view in views
        for family in view.families()
        if (points := _fixed(view, family))
    ]
    if not families:
        raise DataError(str(tables[0].path), "was measured under budgets alone, at no fixed level")
    error = keep.error / len(families)
    tested = [_test(view, points, keep, error) for view, points in families]
    candidates = sorted(
        (_candidate(one, keep, accounting, error, limits) for one in tested),
        key=lambda one: (not one.fits, one.bytes_per_image if one.fits else -one.score),
    )
    notes = tuple(filter(None, [covered.words()]))
    measure = "agreement"
    if keep.needs_labels:
        metric = str(tables[0].meta.get("metric", "score"))
        measure = tables[0].task.image_metric or metric
    found = Selection(
        str(keep), "keep", str(accounting), measure, len(covered.images), None, (),
        notes=notes, left_out=left_out_of(tables), confidence=keep.confidence,
    )  # fmt: skip
    winner, *rest = candidates
    if not winner.fits:
        return replace(found, others=tuple(candidates), would_fit=_needs(tested, keep, error))
    others = tuple(_behind(winner, one) if one.fits else one for one in rest)
    lost = len(families) - 1
    why = f"fewest bytes that keep {keep.words}" + (f", of {lost + 1} codecs" if lost else "")
    return replace(found, winner=replace(winner, why=why), others=others)


def _fixed(view: View, family: dict[int, Point]) -> list[int]:
    """The points of a family at fixed settings, from the highest level of the knob down."""
    levels = {
        number: view.table.level_range([number])[0]
        for number, point in family.items()
        if point.mode in ("", "mean")
    }
    once = {level: number for number, level in levels.items()}
    return [once[level] for level in sorted(once, reverse=True)]


def _test(view: View, numbers: list[int], keep: Keep, error: float) -> _Tested:
    outcomes = [view.table.outcomes(number, view.images) for number in numbers]
    sure = guarantees.sequence((keep.p_value(each) for each in outcomes), error)
    return _Tested(view, numbers, outcomes, sure)


def _candidate(
    one: _Tested, keep: Keep, accounting: Accounting, error: float, limits: Limits | None
) -> Candidate:
    """A codec variant at the cheapest point that surely keeps enough; else at its safest."""
    number, outcomes = one.numbers[one.chosen], one.outcomes[one.chosen]
    view, point = one.view, one.view.points[number]
    found = view.per_image(number, accounting)
    row = view.rows[number]
    kept = keep.kept(outcomes)
    low, high = wilson(min(kept, 1.0), len(found.image))
    # more than was promised is not claimed of a level that was chosen among several
    at_least = keep.least if one.sure else keep.at_least(outcomes, error)
    candidate = Candidate(
        codec=point.codec,
        head=view.table.head,
        settings=dict(point.settings),
        words=view.descriptions[number].words,
        knob=view.knob([number]),
        fits=one.sure > 0,
        score=kept,
        low=low,
        high=high,
        bytes_per_image=float(np.mean(found.size)),
        bpp=8 * float(found.size.sum()) / max(float(found.pixels.sum()), 1.0),
        encode_us=row.encode_us,
        decode_us=row.decode_us,
        needs=None,
        at_least=at_least,
    )
    if limits is not None:
        candidate = limits.on(candidate, view.table.mean_pixels)
    if one.sure:
        return candidate
    return replace(candidate, why=_why_not(candidate, keep, outcomes, error))


def _why_not(one: Candidate, keep: Keep, outcomes: Outcomes, error: float) -> str:
    """Why it is not sure that the safest point keeps enough."""
    said = f"keeps {100 * one.score:.1f} % at the highest level that was measured"
    if more := keep.images_needed_at(outcomes, error):
        return f"{said}; about {more} images would show that it is enough"
    return said


def _behind(winner: Candidate, one: Candidate) -> Candidate:
    more = one.bytes_per_image / max(winner.bytes_per_image, 1e-9) - 1
    return replace(one, why=f"{share(more)} more bytes")


def _needs(tested: Sequence[_Tested], keep: Keep, error: float) -> str | None:
    """How many images are needed, where nothing is sure."""
    images = _count(tested[0])
    if (least := keep.images_needed(error)) > images:
        return f"{images} images are too few: {least} are needed, if nothing is lost on any"
    more = [n for one in tested if (n := keep.images_needed_at(one.outcomes[0], error))]
    return f"about {min(more)} images are needed for what was measured" if more else None


def _count(one: _Tested) -> int:
    images: npt.NDArray[np.int64] = one.view.images
    return len(images)
