"""Choosing a codec and settings from profiles under a budget, and saying why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from codecframe.core.errors import MismatchError, UnknownNameError
from codecframe.evaluation.profile import Coverage, ProfileTable, comparable, coverage
from codecframe.evaluation.select.answer import Candidate, Selection, share
from codecframe.evaluation.select.candidates import Search, Tried, View
from codecframe.evaluation.select.cascades import answered
from codecframe.evaluation.select.limits import Limits
from codecframe.rate import Accounting, Budget

RATE_TOLERANCE = 0.05
"""Up to this difference in bytes two points are at the same rate, and their scores compared."""
TIME_RATIO = 2.0
"""From this ratio on, of two codecs whose scores do not differ, the quicker encoder is chosen."""
TIE = 0.02
"""Up to this difference two scores can be a tie; the noise of few images alone is too wide."""
_UNUSED = 0.9
"""A choice that spends less than this share of the budget may owe it to what was measured."""


def select(
    profiles: ProfileTable | Sequence[ProfileTable],
    budget: Budget,
    accounting: Accounting = Accounting.PAYLOAD,
    codecs: Iterable[str] | None = None,
    limits: Limits | None = None,
    sure: float | None = None,
) -> Selection:
    """The codec and settings with the best expected score under a budget.

    For every codec variant of the profile its best measured way to meet the budget is taken: the
    point where the rate controller met this very budget, if there is one; under a cap, for each
    image the largest measured level that fits it; under a mean, the measured level of the highest
    score whose mean fits.

    The highest score wins; where scores are equal, fewer bytes. A codec whose score is at most two
    points below the highest, and differs from it by no more than chance (the 95 % interval of the
    paired difference holds 0), is chosen instead where its encoder takes at most half the time.
    Scores at rates that differ by more than 5 % are not compared as if they were of one rate.

    All is compared on the images that all points have measured, so that a profile that was stopped
    can be asked; the selection's notes say what is missing.

    Args:
        profiles: a profile, or several of the same images: one for each of several heads.
        budget: what may be spent.
        accounting: which bytes count.
        codecs: only consider these.
        limits: what the encoder may cost; a codec over them is not chosen.
        sure: also consider each codec behind the heads on the device that the profiles know, which
            answer from that confidence on.

    Raises:
        UnknownNameError: if a codec in `codecs` is not in the profiles.
        DataError: if they hold no measurements, or none of the same images.
        MismatchError: if the profiles cannot be compared, or not at bits a pixel; or know no head
            on the device.
    """
    tables = comparable(profiles)
    table = tables[0]
    if budget.unit == "bpp" and len({each.pixels for each in tables}) > 1:
        raise MismatchError("the heads look at images of different sizes: give the budget in bytes")
    covered, devices = answered(tables, covered_by(tables, codecs), sure)
    tried, limits = [], limits or Limits()
    for each, numbers, heads in zip(tables, covered.kept, devices, strict=True):
        plain = View(each, numbers, covered.images)
        views = [plain] if sure is None else [plain, *(plain.behind(one, sure) for one in heads)]
        for view in views:
            search = Search(view, budget, accounting)
            for one in map(search.best_of, view.families()):
                limited = limits.on(one.candidate, each.mean_pixels)
                tried.append(replace(one, candidate=limited))
    measure = table.measure
    found = Selection(
        str(budget), budget.mode, str(accounting), measure, len(covered.images), None, (),
        notes=tuple(filter(None, [covered.words()])), left_out=left_out_of(tables),
    )  # fmt: skip
    rest = [_with_next(t.candidate, budget) for t in tried if not t.candidate.fits]
    rest.sort(key=lambda c: c.needs.amount if c.needs else math.inf)
    fitting = [t for t in tried if t.candidate.fits]
    if not fitting:
        return replace(found, others=tuple(rest), would_fit=_would_fit(rest))
    fitting.sort(key=lambda t: (-t.candidate.score, t.candidate.bytes_per_image))
    first = fitting[0]
    chosen = _chosen(fitting)
    why = f"highest {measure} within the budget"
    if chosen is not first:
        why = _why_quicker(first, chosen, measure)
    winner = _with_next(replace(chosen.candidate, why=why), budget)
    others = [_compare(chosen, t, measure, budget) for t in fitting if t is not chosen]
    notes = (*found.notes, *_doubts(chosen, fitting, budget))
    return replace(found, winner=winner, others=(*others, *rest), notes=notes)


def covered_by(tables: Sequence[ProfileTable], codecs: Iterable[str] | None) -> Coverage:
    """What all profiles have measured of the codecs to consider."""
    known = {point.codec for table in tables for point in table.points().values()}
    wanted = known if codecs is None else set(codecs)
    for name in sorted(wanted - known):
        raise UnknownNameError("codec in this profile", name, known)
    return coverage(tables, wanted)


def left_out_of(tables: Sequence[ProfileTable]) -> tuple[tuple[str, str], ...]:
    """The images that could not be read, each once."""
    return tuple({name: (name, why) for each in tables for name, why in each.skipped()}.values())


def _chosen(fitting: list[Tried]) -> Tried:
    """The best score, or one that is not surely lower where encoding takes half the time."""
    first = fitting[0]
    most = first.candidate.encode_us / TIME_RATIO
    quicker = [t for t in fitting[1:] if 0 < t.candidate.encode_us <= most and _tied(first, t)]
    if not quicker:
        return first
    least = min(t.candidate.encode_us for t in quicker)
    return next(t for t in quicker if t.candidate.encode_us <= TIME_RATIO * least)


def _tied(one: Tried, other: Tried) -> bool:
    """Whether scores differ by little, and by no more than chance."""
    gap, low, high = one.scored.difference(other.scored)
    return gap <= TIE and low <= 0 <= high


def _why_quicker(first: Tried, chosen: Tried, measure: str) -> str:
    gap, _, _ = first.scored.difference(chosen.scored)
    said = f"same {measure} as {first.candidate.label}"
    if gap:
        said = f"{_points(gap)} less {measure} than {first.candidate.label}, within the noise"
    times = first.candidate.encode_us / chosen.candidate.encode_us
    return f"{said}; {times:.1f} times as quick to encode"


def _compare(winner: Tried, other: Tried, measure: str, budget: Budget) -> Candidate:
    gap, low, high = winner.scored.difference(other.scored)
    rate = other.candidate.bytes_per_image / winner.candidate.bytes_per_image - 1
    bytes_ = f"{share(abs(rate))} {'more' if rate > 0 else 'fewer'} bytes"
    more_or_less = f"{_points(abs(gap))} {'less' if gap > 0 else 'more'} {measure}"
    if gap == 0:
        why = f"same {measure}, {bytes_ if rate else 'same bytes'}"
    elif abs(rate) > RATE_TOLERANCE:
        lower = f"{_points(abs(gap))} {'lower' if gap > 0 else 'higher'}"
        why = f"not at the same rate: {bytes_}, {lower}"
    elif low <= 0 <= high:
        why = f"{more_or_less}; within the noise of {len(winner.scored.scores)} images"
    else:
        why = f"{more_or_less}, sure at 95 % ({100 * low:.1f} to {100 * high:.1f})"
    took, least = other.candidate.encode_us, winner.candidate.encode_us
    if low <= 0 <= high and took >= TIME_RATIO * least > 0:
        times = took / least
        why += f"; {times:.1f} times the encode time"
    compared = replace(other.candidate, gap=gap, gap_low=low, gap_high=high, why=why)
    return _with_next(compared, budget)


def _points(gap: float) -> str:
    return f"{100 * gap:.1f} points"


def _with_next(candidate: Candidate, budget: Budget) -> Candidate:
    """A candidate whose reason names the point just above the budget."""
    if candidate.above is None:
        return candidate
    why = f"{candidate.why}; next measured: {candidate.above.words(budget.unit)}"
    return replace(candidate, why=why)


def _doubts(chosen: Tried, fitting: list[Tried], budget: Budget) -> list[str]:
    """What may be better than the choice and was not measured within the budget."""
    best = chosen.candidate
    said = []
    for one in (t.candidate for t in fitting):
        above = one.above
        if above and above.over <= RATE_TOLERANCE and above.score > best.score:
            name = f"{one.codec} {above.knob}".strip()
            said.append(f"{name} is just above the budget: {above.words(budget.unit)}")
    if chosen.used < _UNUSED and not chosen.asked:
        said.append(
            f"the choice spends {100 * chosen.used:.0f} % of the budget, which was not measured "
            "itself: `select --images` does"
        )
    return said


def _would_fit(candidates: list[Candidate]) -> str | None:
    """The candidate that comes closest, and the budget that it needs."""
    needs = [(c.needs.amount, c) for c in candidates if c.needs is not None]
    if not needs:
        return None
    _, closest = min(needs, key=lambda pair: pair[0])
    return f"{closest.codec} needs {closest.needs}"
