"""Choosing the codec and settings of the fewest bytes that keep what must stay right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from codecframe.core import guarantees
from codecframe.core.codec import Codec
from codecframe.core.errors import DataError, MismatchError
from codecframe.core.settings import Settings
from codecframe.core.statistics import wilson
from codecframe.evaluation.profile import (
    Description,
    DeviceAnswers,
    Point,
    ProfileTable,
    comparable,
    coverage,
)
from codecframe.evaluation.select.answer import Candidate, Selection, share
from codecframe.evaluation.select.candidates import View
from codecframe.evaluation.select.cascades import AUTO, answered
from codecframe.evaluation.select.choose import covered_by, left_out_of
from codecframe.evaluation.select.limits import Limits
from codecframe.rate import Accounting, Keep, Outcomes
from codecframe.rate.cascade import attempts

FIT = 3
"""Where it is also to be found from what confidence on a head on the device answers, one image of
so many says what could be tried, unless the profile knows images that said where to look."""


@dataclass(frozen=True)
class _Way:
    """A point of a codec variant, perhaps behind a head on the device."""

    view: View
    number: int

    @cached_property
    def outcomes(self) -> Outcomes:
        """What the promise is measured by."""
        return self.view.outcomes(self.number)


@dataclass(frozen=True)
class _Tested:
    """A codec variant's ways, the safest first, and how many of them keep enough for sure."""

    ways: list[_Way]
    sure: int

    @property
    def chosen(self) -> _Way:
        """The one with the fewest bytes that surely keeps enough, or the safest."""
        return self.ways[max(self.sure - 1, 0)]


def select_keeping(
    profiles: ProfileTable | Sequence[ProfileTable],
    keep: Keep,
    accounting: Accounting = Accounting.PAYLOAD,
    codecs: Iterable[str] | None = None,
    limits: Limits | None = None,
    sure: float | Literal["auto"] | None = None,
) -> Selection:
    """The codec and settings of the fewest bytes that keep what must stay right, for sure.

    The points of a codec variant are tested from the highest level of its knob down, until the
    first that cannot be shown to keep enough: fixed-sequence testing, which costs nothing for the
    number of levels. Variants share the error that is allowed evenly (Bonferroni), because the
    cheapest of all is chosen. So the chance that the choice keeps less than is promised, of images
    like these, is at most 1 - `keep.confidence`; see `codecframe.core.guarantees`. This holds for
    points that were chosen without looking at what the head makes of these images.

    With `sure`, every codec is behind the heads on the device that the profiles know. Where it is
    `auto`, one image in three says which confidences to try with which levels, and in which order,
    or those that said where to look; the others decide.

    Args:
        profiles: a profile, or several of the same images: one for each of several heads.
        keep: what must stay right.
        accounting: which bytes count.
        codecs: only consider these.
        limits: what the encoder may cost; a codec over them is not chosen.
        sure: from what confidence on heads on the device answer; `auto`: the one of the fewest
            bytes, perhaps none.

    Raises:
        UnknownNameError: if a codec in `codecs` is not in the profiles.
        DataError: if they hold no measurements, or none of the same images.
        MismatchError: if the profiles cannot be compared, or do not know what is asked for.
    """
    tables = comparable(profiles)
    covered, devices = answered(tables, covered_by(tables, codecs), sure)
    tried = np.unique(np.concatenate([table.tried() for table in tables]))
    images = np.setdiff1d(covered.images, tried)
    looked = np.intersect1d(covered.images, tried)
    families = []
    for table, numbers, heads in zip(tables, covered.kept, devices, strict=True):
        view = View(table, numbers, images)
        for points in filter(None, (_fixed(view, family) for family in view.families())):
            if sure is None:
                families.append([_Way(view, point) for point in points])
            for answers in heads:
                if sure == AUTO:
                    families.append(_ways(view, points, answers, keep, accounting, looked))
                elif sure is not None:
                    behind = view.behind(answers, sure)
                    families.append([_Way(behind, point) for point in points])
    if not families:
        raise DataError(str(tables[0].path), "was measured under budgets alone, at no fixed level")
    error = keep.error / len(families)
    tested = [_test(ways, keep, error) for ways in families]
    candidates = sorted(
        (_candidate(one, keep, accounting, error, limits or Limits()) for one in tested),
        key=lambda one: (not one.fits, one.bytes_per_image if one.fits else -one.score),
    )
    said = f"{len(tried)} images said where to look, the others decide" if len(tried) else ""
    if fitted := len(images) - _count(tested[0]):
        said = f"{fitted} images said what to try, the others decide"
    notes = tuple(filter(None, [covered.words(), said]))
    measure = tables[0].image_measure if keep.needs_labels else "agreement"
    found = Selection(
        str(keep), "keep", str(accounting), measure, _count(tested[0]), None, (),
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


def _ways(
    view: View,
    points: list[int],
    answers: DeviceAnswers,
    keep: Keep,
    accounting: Accounting,
    looked: npt.NDArray[np.int64],
) -> list[_Way]:
    """Ways of a codec variant behind a head on the device, the safest first, on the images that
    decide; others say which: those that said where to look, or some of the view's.
    """
    deciding = view
    if not len(looked):
        is_trial = np.arange(len(view.images)) % FIT == 0
        looked, deciding = view.images[is_trial], view.among(view.images[~is_trial])
    trial, rising = view.among(looked), points[::-1]
    sizes = np.stack([trial.per_image(point, accounting).size for point in rising], axis=1)
    outcomes = [trial.outcomes(point) for point in rising]
    known = answers.of(looked)
    ordered = attempts(known.confidence, known.size, sizes, known.outcomes, outcomes, keep)
    return [_Way(deciding.behind(answers, sure), rising[level]) for sure, level in ordered]


def _test(ways: list[_Way], keep: Keep, error: float) -> _Tested:
    return _Tested(ways, guarantees.sequence((keep.p_value(way.outcomes) for way in ways), error))


def measured_outcomes(
    table: ProfileTable, codec: Codec[Any], settings: Settings
) -> list[tuple[Settings, Outcomes]]:
    """A codec at the levels that were measured, each with what the head made of the images; the
    highest level first.

    Args:
        table: the profile.
        codec: the codec.
        settings: everything but the knob.

    Raises:
        MismatchError: if the profile has none of these.
    """
    plain = settings.to_dict()
    rest = Description.of(codec.name, plain).without_knob(plain)
    if any(point.codec == codec.name for point in table.points().values()):
        covered = coverage([table], {codec.name})
        view = View(table, covered.kept[0], np.setdiff1d(covered.images, table.tried()))
        for family in view.families():
            if view.rest(next(iter(family))) == rest and (numbers := _fixed(view, family)):
                return [
                    (
                        codec.settings_type.from_dict(dict(view.points[number].settings)),
                        table.outcomes(number, view.images),
                    )
                    for number in numbers
                ]
    raise MismatchError(f"{table.path} has no {codec.name} at fixed levels with these settings")


def _candidate(
    one: _Tested, keep: Keep, accounting: Accounting, error: float, limits: Limits
) -> Candidate:
    """A codec variant at the cheapest point that surely keeps enough; else at its safest."""
    view, number, outcomes = one.chosen.view, one.chosen.number, one.chosen.outcomes
    found = view.per_image(number, accounting)
    kept = keep.kept(outcomes)
    low, high = wilson(min(kept, 1.0), len(found.image))
    # more than was promised is not claimed of a level that was chosen among several
    at_least = keep.least if one.sure else keep.at_least(outcomes, error)
    candidate = view.candidate(
        [number], found, fits=one.sure > 0, score=kept, low=low, high=high, at_least=at_least
    )
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
    more = [n for one in tested if (n := keep.images_needed_at(one.ways[0].outcomes, error))]
    return f"about {min(more)} images are needed for what was measured" if more else None


def _count(one: _Tested) -> int:
    return len(one.ways[0].view.images)
