"""Each codec at its best under a budget, from the points that a profile holds."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.evaluation.profile import DeviceAnswers, PerImage, Point, ProfileTable, Row
from codecframe.evaluation.select.answer import Candidate, NextPoint
from codecframe.evaluation.select.cascades import Cascade
from codecframe.rate import Accounting, Budget, Outcomes
from codecframe.tasks.scoring import SetScore, set_score


class View:
    """Some points of a profile, on images that all of them have measured.

    Args:
        table: the profile.
        numbers: ids of the points.
        images: positions of the images, rising, `int64`.
    """

    def __init__(
        self, table: ProfileTable, numbers: frozenset[int], images: npt.NDArray[np.int64]
    ) -> None:
        self.table = table
        self.images = images
        self.cascade: Cascade | None = None
        self.points = {n: point for n, point in table.points().items() if n in numbers}
        self.descriptions = table.descriptions()
        ids = {point.key: n for n, point in self.points.items()}
        self.rows: dict[int, Row] = {
            ids[row.point.key]: row for row in table.rows(scored=False) if row.point.key in ids
        }

    def families(self) -> list[dict[int, Point]]:
        """The points, grouped by codec and settings other than the knob."""
        families: dict[tuple[str, str], dict[int, Point]] = defaultdict(dict)
        for number, point in self.points.items():
            rest = json.dumps(self.rest(number), sort_keys=True)
            families[point.codec, rest][number] = point
        return list(families.values())

    def rest(self, number: int) -> dict[str, Any]:
        """A point's settings, less the knob."""
        return self.descriptions[number].without_knob(dict(self.points[number].settings))

    def per_image(self, number: int, accounting: Accounting) -> PerImage:
        """A point's measurements, image by image."""
        found = self.table.per_image(number, accounting)
        keep = np.isin(found.image, self.images)
        found = PerImage(
            *[values[keep] if len(values) else values for values in vars(found).values()]
        )
        return found if self.cascade is None else self.cascade.mixed(found)

    def outcomes(self, number: int) -> Outcomes:
        """What a promise about a point is measured by."""
        found = self.table.outcomes(number, self.images)
        return found if self.cascade is None else self.cascade.outcomes(found)

    def behind(self, answers: DeviceAnswers, sure: float) -> View:
        """The same points behind a head on the device that answers what it is sure of."""
        made = copy(self)
        made.cascade = Cascade(answers.of(self.images), sure)
        return made

    def among(self, images: npt.NDArray[np.int64]) -> View:
        """The same on some of the images."""
        made = copy(self)
        made.images = images
        return made

    def candidate(
        self,
        numbers: list[int],
        found: PerImage,
        *,
        varies: bool = False,
        needs: Budget | None = None,
        **rest: Any,
    ) -> Candidate:
        """Points of one codec as a candidate.

        Args:
            numbers: their ids.
            found: what was measured of them.
            varies: whether the knob varies from image to image.
            needs, rest: fields that say how good it is.
        """
        point, rows = self.points[numbers[0]], [self.rows[n] for n in numbers]
        fitted = ~np.isnan(found.size)
        images, size = max(int(fitted.sum()), 1), float(found.size[fitted].sum())
        return Candidate(
            codec=point.codec,
            head=self.table.head,
            settings=self.rest(numbers[0]) if varies else dict(point.settings),
            words=self.descriptions[numbers[0]].words,
            knob=self.descriptions[numbers[0]].knob_at(self.table.level_range(numbers)),
            bytes_per_image=size / images,
            bpp=8 * size / max(float(found.pixels[fitted].sum()), 1.0),
            picture_bytes=float(found.picture[fitted].sum()) / images,
            encode_us=float(np.mean([row.encode_us for row in rows])),
            decode_us=float(np.mean([row.decode_us for row in rows])),
            needs=needs,
            **({} if self.cascade is None else self.cascade.described()),
            **rest,
        )


@dataclass(frozen=True)
class Tried:
    """A candidate with what it scores, for paired comparison.

    Attributes:
        candidate: the candidate.
        scored: on the images of the view.
        used: the share of the budget that it spends.
        asked: whether it was measured for this very budget.
    """

    candidate: Candidate
    scored: SetScore
    used: float
    asked: bool


@dataclass(frozen=True)
class Search:
    """Looks for candidates in the points of one profile.

    Attributes:
        view: the points.
        budget: what may be spent.
        accounting: which bytes count.
    """

    view: View
    budget: Budget
    accounting: Accounting

    def best_of(self, family: Mapping[int, Point]) -> Tried:
        """A codec's best way to meet the budget; where it has none, the one that comes closest."""
        asked = (str(self.budget), self.budget.mode, str(self.accounting))
        for number, point in family.items():
            if (point.budget, point.mode, point.accounting) == asked:
                return self._as_measured(number, point, asked=True)
        fixed = {number: point for number, point in family.items() if point.mode in ("", "mean")}
        if not fixed:
            tried = self._as_measured(*next(iter(family.items())))
            why = "was not measured for this budget"
            return replace(tried, candidate=replace(tried.candidate, fits=False, why=why))
        if self.budget.mode == "cap":
            return self._best_per_image(fixed)
        tries = [self._as_measured(number, point) for number, point in fixed.items()]
        fitting = [t for t in tries if t.candidate.fits]
        over = [t for t in tries if not t.candidate.fits]
        if not fitting:
            return min(over, key=_bytes)
        best = max(fitting, key=lambda t: (t.candidate.score, -_bytes(t)))
        if not over:
            return best
        least = min(over, key=_bytes)
        one = least.candidate
        above = NextPoint(one.knob, one.bytes_per_image, one.bpp, least.used - 1, one.score)
        return replace(best, candidate=replace(best.candidate, above=above))

    def _as_measured(self, number: int, point: Point, *, asked: bool = False) -> Tried:
        """A point as it was measured, as one candidate."""
        found = self.view.per_image(number, self.accounting)
        unfit = int(np.isnan(found.size).sum())
        allowed = _allowances(found, self.budget)
        over = float(np.nansum(found.size)) > float(allowed.sum()) * (1 + 1e-9)
        why = ""
        if unfit:
            why = f"{unfit} of {len(found.size)} images cannot be brought under the cap"
        elif over:
            mean, most = float(found.size.mean()), float(allowed.mean())
            why = f"its smallest measured mean is {mean:.0f} bytes, over {most:.0f}"
        varies = point.mode in ("cap", "link")
        return self._tried([number], found, why, varies=varies, asked=asked)

    def _best_per_image(self, family: Mapping[int, Point]) -> Tried:
        """Under a cap: for each image the largest measured level that fits it."""
        measured = {n: self.view.per_image(n, self.accounting) for n in family}
        sizes = np.stack([found.size for found in measured.values()])
        scores = np.stack([found.score for found in measured.values()])
        records = np.stack([found.record for found in measured.values()])
        any_point = next(iter(measured.values()))
        allowed = np.floor(_allowances(any_point, self.budget) + 1e-9)
        knob_byte = 1 if self.accounting is Accounting.PAYLOAD and len(family) > 1 else 0
        fitting = np.where(sizes + knob_byte <= allowed, sizes, -1.0)
        best = fitting.argmax(axis=0)
        columns = np.arange(sizes.shape[1])
        fits_each = fitting[best, columns] >= 0
        unfit = int((~fits_each).sum())
        why = f"{unfit} of {len(columns)} images do not fit at any measured level" if unfit else ""
        smallest = sizes.argmin(axis=0)
        used = np.where(fits_each, best, smallest)
        found = PerImage(
            any_point.image,
            any_point.pixels,
            size=sizes[used, columns] + knob_byte,
            least=sizes[smallest, columns] + knob_byte,
            score=scores[used, columns],
            record=records[used, columns] if records.size else records.reshape(-1),
            picture=np.stack([found.picture for found in measured.values()])[used, columns],
        )
        numbers = [list(measured)[index] for index in np.unique(used)]
        return self._tried(numbers, found, why, varies=len(numbers) > 1)

    def _tried(
        self,
        numbers: list[int],
        found: PerImage,
        why: str,
        *,
        varies: bool,
        asked: bool = False,
    ) -> Tried:
        """What was measured, as a candidate; `why` says what keeps it from the budget, if any."""
        scored = set_score(self.view.table.task, found.score, found.record.tolist())
        candidate = self.view.candidate(
            numbers, found, varies=varies, fits=not why, why=why, needs=_needs(found, self.budget),
            score=scored.value, low=scored.low, high=scored.high,
        )  # fmt: skip
        used = float(np.nansum(found.size) / _allowances(found, self.budget).sum())
        return Tried(candidate, scored, used, asked)


def _bytes(tried: Tried) -> float:
    return tried.candidate.bytes_per_image


def _allowances(found: PerImage, budget: Budget) -> npt.NDArray[np.float64]:
    """Bytes allowed for each image."""
    if budget.unit == "bpp":
        return found.pixels * budget.amount / 8
    return np.full(len(found.pixels), budget.allowance((1, 1)))


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
