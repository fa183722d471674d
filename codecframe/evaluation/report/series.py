"""A profile as what a reader compares: one series of rates and scores for every codec variant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp, log

from codecframe.evaluation.profile import Description, Point, ProfileTable, Row, comparable
from codecframe.evaluation.select import Selection
from codecframe.rate import Accounting, Budget


@dataclass(frozen=True)
class Spot:
    """One measured point.

    Attributes:
        number: the point's id in the profile.
        row: its means.
        bpp: bits a pixel, by the accounting of the report.
        score: against the labels, or agreement where there are none, with its 95 % interval
            `low` to `high`.
        knob: `quality=31`, or empty where the rate controller set it image by image.
        budget: the budget that the rate controller met, or empty.
    """

    number: int
    row: Row
    bpp: float
    score: float
    low: float
    high: float
    knob: str
    budget: str


@dataclass(frozen=True)
class Series:
    """A codec with everything but its knob decided, and its points.

    Attributes:
        codec: the codec's name.
        words: its settings that differ from the defaults, without the knob.
        table: the profile that it is of.
        about: what the profile says of one of its points.
        note: what else tells it from others, e.g. `retrained`.
        fixed: points with one knob value for all images, by rising rate.
        controlled: points at which the rate controller set the knob image by image.
    """

    codec: str
    words: str
    table: ProfileTable
    about: Description
    fixed: tuple[Spot, ...]
    controlled: tuple[Spot, ...]
    note: str = ""

    @property
    def label(self) -> str:
        """Codec, settings and note in one line."""
        return " ".join(filter(None, (self.codec, self.words, self.note)))

    @property
    def lossless(self) -> bool:
        """Whether the codec has no knob: one rate, and the accuracy of the uncompressed images."""
        return not self.about.knob

    @property
    def sends_latents(self) -> bool:
        """Whether the codec prefers to hand latents to the head, and no image."""
        return self.about.sends_latents

    @property
    def spots(self) -> tuple[Spot, ...]:
        """All points, by rising rate."""
        return tuple(sorted(self.fixed + self.controlled, key=lambda spot: spot.bpp))

    def nearest(self, bpp: float, selection: Selection | None = None) -> Spot | None:
        """The point that met the selection's budget; else the one closest to a rate, by ratio."""
        if selection is not None:
            for spot in self.spots:
                point = spot.row.point
                asked = (selection.budget, selection.mode, selection.accounting)
                if (point.budget, point.mode, point.accounting) == asked:
                    return spot
        usable = [spot for spot in self.fixed or self.controlled if spot.bpp > 0]
        return min(usable, key=lambda spot: abs(log(spot.bpp / bpp)), default=None)


def series_of(
    profiles: ProfileTable | Sequence[ProfileTable], accounting: Accounting
) -> list[Series]:
    """The codec variants of one or several profiles, in the order in which they were first
    measured; those of several heads are told apart by the heads' names.

    Raises:
        UnknownNameError: if a codec is not installed of which an old profile says nothing.
        MismatchError: if the profiles cannot be compared.
    """
    tables = comparable(profiles)
    several = len({table.head for table in tables}) > 1
    return [
        replace(one, note=f"\N{RIGHTWARDS ARROW} {table.head}" if several else "")
        for table in tables
        for one in _of_one(table, accounting)
    ]


def _of_one(table: ProfileTable, accounting: Accounting) -> list[Series]:
    numbers = {point.key: number for number, point in table.points().items()}
    descriptions = table.descriptions()
    found: dict[tuple[str, str], list[Spot]] = {}
    for row in table.rows():
        number = numbers[row.point.key]
        about = descriptions[number]
        spot = _spot(number, row, knob_of(row.point, about), accounting)
        found.setdefault((row.point.codec, about.words), []).append(spot)
    return [
        Series(
            codec,
            words,
            table,
            descriptions[spots[0].number],
            tuple(sorted((s for s in spots if s.knob), key=lambda spot: spot.bpp)),
            tuple(s for s in spots if not s.knob),
        )
        for (codec, words), spots in found.items()
    ]


def _spot(number: int, row: Row, knob: str, accounting: Accounting) -> Spot:
    bpp = row.file_bpp if accounting is Accounting.FILE else row.payload_bpp
    if row.score is None:
        score, low, high = row.agreement, row.agreement_low, row.agreement_high
    else:
        score, low, high = row.score, row.score_low, row.score_high
    point = row.point
    budget = f"{point.budget} {point.mode}, {point.accounting}" if point.budget else ""
    return Spot(
        number, row, bpp, score or 0.0, low or 0.0, 1.0 if high is None else high, knob, budget
    )


def knob_of(point: Point, about: Description) -> str:
    """`quality=31`; `fixed` without a knob, empty where the rate controller sets it."""
    if not about.knob:
        return "fixed"
    varies = point.mode in ("cap", "link")
    return "" if varies else f"{about.knob}={point.settings.get(about.knob)}"


def budget_bpp(table: ProfileTable, selection: Selection) -> float:
    """The selection's budget in bits a pixel, for images of the profile's mean size.

    Where it is about what must stay right: what its choice costs, or 0 without any.
    """
    if selection.mode == "keep":
        return selection.winner.bpp if selection.winner else 0.0
    budget = Budget.parse(selection.budget)
    rows = table.rows()
    pixels = next((8 * row.file_bytes / row.file_bpp for row in rows if row.file_bpp), 0.0)
    return 8 * budget.allowance((1, round(pixels))) / pixels if pixels else 0.0


def middle_bpp(series: Iterable[Series]) -> float:
    """The middle, by ratio, of all rates that were measured; 1 where there are none."""
    rates = [spot.bpp for one in series for spot in one.spots if spot.bpp > 0]
    return exp((log(min(rates)) + log(max(rates))) / 2) if rates else 1.0
