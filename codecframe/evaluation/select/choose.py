"""Choosing a codec and settings from profiles under a budget, and saying why."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core import registry
from codecframe.core.errors import DataError, MismatchError, UnknownNameError
from codecframe.core.presets import describe
from codecframe.core.statistics import paired_difference, wilson
from codecframe.evaluation.profile import PerImage, Point, ProfileTable, comparable
from codecframe.rate import Accounting, Budget


@dataclass(frozen=True)
class Candidate:
    """One codec variant at its best under the budget.

    Attributes:
        codec: the codec's name.
        head: the name of the head that judged it.
        settings: its settings; where the knob varies from image to image, without the knob.
        knob: the knob as words: `quality=31`, or `quality=12..48` where it varies.
        fits: whether the budget is met for every image (cap) or on average (mean, link).
        score: expected score by the profile's measure, with its 95 % interval `low` to `high`.
        bytes_per_image: mean counted bytes, over the images that could be encoded at all.
        bpp: counted bits / pixels.
        encode_us, decode_us: microseconds an image, all cores.
        needs: the smallest budget of the kind asked for that its least encodings meet.
        gap: the winner's score minus this one's on the same images, with the 95 % interval
            `gap_low` to `gap_high`; None for the winner.
        why: one sentence.
    """

    codec: str
    head: str
    settings: Mapping[str, Any]
    knob: str
    fits: bool
    score: float
    low: float
    high: float
    bytes_per_image: float
    bpp: float
    encode_us: float
    decode_us: float
    needs: Budget | None
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    why: str = ""

    @property
    def label(self) -> str:
        """Codec and settings that differ from the defaults, in one line."""
        return " ".join(filter(None, [self.codec, _words(self.codec, self.settings), self.knob]))


@dataclass(frozen=True)
class Selection:
    """The answer to "which codec, at which settings".

    Attributes:
        budget, mode, accounting: what was asked.
        measure: what scores are: the head's metric against labels, or agreement with its own
            predictions on the uncompressed images.
        images: how many images the answer rests on.
        winner: the choice, or None if nothing meets the budget.
        others: the rest, best first, each with why it lost.
        would_fit: where nothing meets the budget, the smallest that would be met, as text.
    """

    budget: str
    mode: str
    accounting: str
    measure: str
    images: int
    winner: Candidate | None
    others: tuple[Candidate, ...]
    would_fit: str | None = None

    @property
    def candidates(self) -> list[Candidate]:
        """All, the winner first."""
        return [*([self.winner] if self.winner else []), *self.others]

    @property
    def heads(self) -> list[str]:
        """The heads that judged, each once."""
        return list(dict.fromkeys(candidate.head for candidate in self.candidates))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class _Tried:
    """A candidate with its per-image scores, for paired comparison."""

    candidate: Candidate
    images: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]


def select(
    profiles: ProfileTable | Sequence[ProfileTable],
    budget: Budget,
    accounting: Accounting = Accounting.PAYLOAD,
    codecs: Iterable[str] | None = None,
) -> Selection:
    """The codec and settings with the best expected score under a budget.

    For every codec variant of the profile its best measured way to meet the budget is taken: the
    point where the rate controller met this very budget, if there is one; under a cap, for each
    image the largest measured level that fits it; under a mean, the largest measured level whose
    mean fits. Ties in score go to fewer bytes.

    Args:
        profiles: a profile, or several of the same images: one for each of several heads.
        budget: what may be spent.
        accounting: which bytes count.
        codecs: only consider these.

    Raises:
        UnknownNameError: if a codec in `codecs` is not in the profiles.
        DataError: if they hold no measurements.
        MismatchError: if the profiles cannot be compared, or not at bits a pixel.
    """
    tables = comparable(profiles)
    table = tables[0]
    if budget.unit == "bpp" and len({each.pixels for each in tables}) > 1:
        raise MismatchError("the heads look at images of different sizes: give the budget in bytes")
    wanted = _wanted(tables, codecs)
    tried = [
        _best_of(each, family, budget, accounting)
        for each in tables
        for family in _families(each, wanted)
    ]
    if not tried:
        raise DataError(str(table.path), "holds no measurements")
    fitting = [t for t in tried if t.candidate.fits]
    fitting.sort(key=lambda t: (-t.candidate.score, t.candidate.bytes_per_image))
    rest = [t.candidate for t in tried if not t.candidate.fits]
    rest.sort(key=lambda c: c.needs.amount if c.needs else math.inf)
    measure = table.meta.get("metric", "score") if table.labelled else "agreement"
    images = max(len(t.images) for t in tried)
    if not fitting:
        return Selection(
            str(budget), budget.mode, str(accounting), measure, images, None, tuple(rest),
            would_fit=_would_fit(rest),
        )  # fmt: skip
    first, *others = fitting
    compared = [_compare(first, other, measure) for other in others]
    why = f"highest {measure} within the budget"
    winner = replace(first.candidate, why=why)
    return Selection(
        str(budget), budget.mode, str(accounting), measure, images, winner, (*compared, *rest)
    )


def _wanted(tables: Sequence[ProfileTable], codecs: Iterable[str] | None) -> set[str]:
    """The codecs to consider."""
    known = {point.codec for table in tables for point in table.points().values()}
    wanted = known if codecs is None else set(codecs)
    for name in sorted(wanted - known):
        raise UnknownNameError("codec in this profile", name, known)
    return wanted


def _families(table: ProfileTable, wanted: set[str]) -> list[dict[int, Point]]:
    """The profile's points, grouped by codec and settings other than the knob."""
    families: dict[tuple[str, str], dict[int, Point]] = defaultdict(dict)
    for number, point in table.points().items():
        if point.codec in wanted:
            rest = json.dumps(_without_knob(point), sort_keys=True)
            families[point.codec, rest][number] = point
    return list(families.values())


def _knob_field(codec: str) -> str | None:
    knob = registry.default().codec(codec).settings_type.knob()
    return knob.field if knob else None


def _without_knob(point: Point) -> dict[str, Any]:
    field = _knob_field(point.codec)
    return {key: value for key, value in point.settings.items() if key != field}


def _best_of(
    table: ProfileTable, family: Mapping[int, Point], budget: Budget, accounting: Accounting
) -> _Tried:
    asked = (str(budget), budget.mode, str(accounting))
    for number, point in family.items():
        if (point.budget, point.mode, point.accounting) == asked:
            return _as_measured(table, number, point, budget, accounting)
    fixed = {number: point for number, point in family.items() if point.mode in ("", "mean")}
    if not fixed:
        number, point = next(iter(family.items()))
        tried = _as_measured(table, number, point, budget, accounting)
        why = "was not measured for this budget"
        return replace(tried, candidate=replace(tried.candidate, fits=False, why=why))
    if budget.mode == "cap":
        return _best_per_image(table, fixed, budget, accounting)
    tries = [_as_measured(table, n, point, budget, accounting) for n, point in fixed.items()]
    fitting = [t for t in tries if t.candidate.fits]
    if fitting:
        return max(fitting, key=lambda t: (t.candidate.score, -t.candidate.bytes_per_image))
    return min(tries, key=lambda t: t.candidate.bytes_per_image)


def _as_measured(
    table: ProfileTable, number: int, point: Point, budget: Budget, accounting: Accounting
) -> _Tried:
    """A point as it was measured, as one candidate."""
    found = table.per_image(number, accounting)
    unfit = int(np.isnan(found.size).sum())
    allowed = _allowances(found, budget)
    over = float(np.nansum(found.size)) > float(allowed.sum()) * (1 + 1e-9)
    fits = unfit == 0 and not over and len(found.size) > 0
    why = ""
    if unfit:
        why = f"{unfit} of {len(found.size)} images cannot be brought under the cap"
    elif over:
        mean = float(found.size.mean())
        why = f"its smallest measured mean is {mean:.0f} bytes, over {float(allowed.mean()):.0f}"
    varies = point.mode in ("cap", "link")
    return _tried(table, [number], point, found, budget, fits, why, varies=varies)


def _best_per_image(
    table: ProfileTable, family: Mapping[int, Point], budget: Budget, accounting: Accounting
) -> _Tried:
    """Under a cap: for each image the largest measured level that fits it."""
    measured = {number: table.per_image(number, accounting) for number in family}
    common = _common_images([found.image for found in measured.values()])
    aligned = {n: _only(found, common) for n, found in measured.items()}
    sizes = np.stack([found.size for found in aligned.values()])
    scores = np.stack([found.score for found in aligned.values()])
    any_point = next(iter(aligned.values()))
    allowed = np.floor(_allowances(any_point, budget) + 1e-9)
    knob_byte = 1 if accounting is Accounting.PAYLOAD and len(family) > 1 else 0
    fitting = np.where(sizes + knob_byte <= allowed, sizes, -1.0)
    best = fitting.argmax(axis=0)
    columns = np.arange(len(common))
    fits_each = fitting[best, columns] >= 0
    unfit = int((~fits_each).sum())
    why = f"{unfit} of {len(common)} images do not fit at any measured level" if unfit else ""
    smallest = sizes.argmin(axis=0)
    used = np.where(fits_each, best, smallest)
    found = PerImage(
        any_point.image,
        any_point.pixels,
        size=sizes[used, columns] + knob_byte,
        least=sizes[smallest, columns] + knob_byte,
        score=scores[used, columns],
    )
    numbers = [list(aligned)[index] for index in np.unique(used)]
    point = family[numbers[0]]
    varies = len(numbers) > 1
    return _tried(table, numbers, point, found, budget, unfit == 0, why, varies=varies)


def _tried(
    table: ProfileTable,
    numbers: list[int],
    point: Point,
    found: PerImage,
    budget: Budget,
    fits: bool,
    why: str,
    *,
    varies: bool,
) -> _Tried:
    rows = {row.point.key: row for row in table.rows()}
    used = [rows[p.key] for n, p in table.points().items() if n in numbers and p.key in rows]
    score = float(found.score.mean()) if len(found.score) else 0.0
    low, high = wilson(score, len(found.score))
    fitted = ~np.isnan(found.size)
    size = float(found.size[fitted].sum())
    candidate = Candidate(
        codec=point.codec,
        head=table.head,
        settings=_without_knob(point) if varies else dict(point.settings),
        knob=_knob_words(table, numbers, point.codec),
        fits=fits,
        score=score,
        low=low,
        high=high,
        bytes_per_image=size / max(int(fitted.sum()), 1),
        bpp=8 * size / max(float(found.pixels[fitted].sum()), 1.0),
        encode_us=float(np.mean([row.encode_us for row in used])) if used else 0.0,
        decode_us=float(np.mean([row.decode_us for row in used])) if used else 0.0,
        needs=_needs(found, budget),
        why=why,
    )
    return _Tried(candidate, found.image, found.score)


def _knob_words(table: ProfileTable, numbers: list[int], codec: str) -> str:
    knob = registry.default().codec(codec).settings_type.knob()
    if knob is None:
        return ""
    low, high = table.level_range(numbers)
    values = [f"{knob.ladder[level]:g}" for level in dict.fromkeys([low, high])]
    return f"{knob.field}={'..'.join(values)}"


def _words(name: str, settings: Mapping[str, Any]) -> str:
    codec = registry.default().codec(name)
    return describe(codec, codec.settings_type.from_dict(settings))


def _allowances(found: PerImage, budget: Budget) -> npt.NDArray[np.float64]:
    """Bytes allowed for each image."""
    if budget.unit == "bpp":
        return found.pixels * budget.amount / 8
    return np.full(len(found.pixels), budget.allowance((1, 1)))


def _common_images(lists: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    common = lists[0]
    for other in lists[1:]:
        common = np.intersect1d(common, other)
    return common


def _only(found: PerImage, images: npt.NDArray[np.int64]) -> PerImage:
    keep = np.isin(found.image, images)
    return PerImage(*[values[keep] for values in vars(found).values()])


def _compare(winner: _Tried, other: _Tried, measure: str) -> Candidate:
    common = _common_images([winner.images, other.images])
    gap, low, high = paired_difference(
        winner.scores[np.isin(winner.images, common)], other.scores[np.isin(other.images, common)]
    )
    points = f"{100 * gap:.1f} points less {measure}"
    if gap == 0:
        why = f"same {measure}, more bytes"
    elif low <= 0 <= high:
        why = f"{points}; within the noise of {len(common)} images"
    else:
        why = f"{points}, sure at 95 % ({100 * low:.1f} to {100 * high:.1f})"
    return replace(other.candidate, gap=gap, gap_low=low, gap_high=high, why=why)


def _needs(found: PerImage, budget: Budget) -> Budget | None:
    """The smallest budget, in the unit that was asked, which the least encodings meet."""
    allowed = _allowances(found, budget)
    if not len(allowed) or np.isnan(found.least).any():
        return None
    share = (found.least / allowed).max()
    if budget.mode != "cap":
        share = found.least.sum() / allowed.sum()
    digits = 3 if budget.unit == "bpp" else 0
    amount = math.ceil(budget.amount * float(share) * 10**digits - 1e-6) / 10**digits
    return replace(budget, amount=amount)


def _would_fit(candidates: list[Candidate]) -> str | None:
    """The candidate that comes closest, and the budget that it needs."""
    needs = [(c.needs.amount, c) for c in candidates if c.needs is not None]
    if not needs:
        return None
    _, closest = min(needs, key=lambda pair: pair[0])
    return f"{closest.codec} needs {closest.needs}"
