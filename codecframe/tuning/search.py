"""Black-box search over a codec's settings: Optuna's tree-structured Parzen estimator, then steps.

Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011. It finds good regions
in few trials; the best settings of one are found sooner by changing one setting at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError, SettingsError
from codecframe.core.parallel import cpu_count
from codecframe.core.registry import require
from codecframe.core.settings import FieldInfo, Settings, members
from codecframe.tuning.objective import Objective, Score

INSTALL = "codecframe[tune]"
_QUICK = 4
"""A trial is first measured on one in so many of the images."""
_HOPELESS = 2.0
"""Standard errors by which a trial must be worse there to be given up."""
_TOO_SLOW = 1.5
"""Times what an image may take to encode: a trial that needs more there is given up, too."""
_AGES = 3.0
"""Times what it may take: a trial that needs so much for the first images is not measured."""
TIMED = 4
"""How many those are, for each core."""
_SAMPLED = 0.5
"""Share of the trials that the estimator chooses."""
_STEPS = (4, 16)
"""Steps that cross the range of a number: large ones and small ones are tried."""


def search(
    codec: Codec[Any],
    base: Settings,
    objective: Objective,
    trials: int,
    *,
    seed: int,
    slowest: float,
    lacking: Collection[str] = (),
) -> Iterator[Score | None]:
    """Try settings, the promising ones more often; yields the score of each.

    Settings that are refused, hopeless or too slow give None. The estimator chooses the first half
    of the trials; each of the others changes one setting of the best. The same seed and scores
    give the same trials.

    Args:
        base: where the search starts; settings that cannot be searched stay as they are.
        objective: what they are worth.
        trials: how many settings to try.
        slowest: microseconds that an image may take to encode.
        lacking: settings that stay as they are.

    Raises:
        DependencyError: if optuna is not installed.
    """
    fields = [info for info in searchable(type(base)) if info.name not in lacking]
    yield from _Search(codec, base, fields, objective, slowest, _study(seed)).scores(trials)


def far_too_slow(
    codec: Codec[Any], settings: Settings, objective: Objective, slowest: float
) -> bool:
    """Whether settings need not be measured: some images take several times what they may."""
    return objective.encode_us(codec, settings, TIMED * cpu_count()) > _AGES * slowest


@dataclass(frozen=True)
class _Best:
    """The best settings so far, what they are worth, and on a part of the images."""

    settings: Settings
    score: Score
    quick: Score | None


@dataclass
class _Search:
    """A search under way; see `search` for what it takes."""

    codec: Codec[Any]
    base: Settings
    fields: list[FieldInfo]
    objective: Objective
    slowest: float
    study: Any
    best: _Best | None = None
    tried: set[Settings] = field(default_factory=set)

    @cached_property
    def quick(self) -> Objective | None:
        """What settings are worth on a part of the images, where these are many."""
        images = len(self.objective.images)
        return self.objective.part(images // _QUICK) if images >= 32 * _QUICK else None

    def scores(self, trials: int) -> Iterator[Score | None]:
        """The score of each trial."""
        for number in range(trials):
            self._enqueue(number, trials)
            trial = self.study.ask()
            try:
                yield self._measured(trial)
            except (SettingsError, BudgetError):
                self.study.tell(trial, state=_pruned())
                yield None

    def _enqueue(self, number: int, trials: int) -> None:
        """Decide on a trial, unless the estimator shall."""
        if not self.tried:
            self.study.enqueue_trial(_known(self.base, self.fields))
        elif self.best and number >= _SAMPLED * trials:
            steps = [s for s in _steps(self.best.settings, self.fields) if s not in self.tried]
            if steps:
                self.study.enqueue_trial(_known(steps[number % len(steps)], self.fields))

    def _measured(self, trial: Any) -> Score | None:
        """What a trial is worth; None if it is hopeless or too slow."""
        settings = self.base.replace(**{f.name: _suggest(trial, f) for f in self.fields})
        self.tried.add(settings)
        if far_too_slow(self.codec, settings, self.objective, self.slowest):
            self.study.tell(trial, state=_pruned())
            return None
        quick = self.quick.measure(self.codec, settings) if self.quick else None
        best = self.best and self.best.quick
        slow = quick and quick.encode_us > _TOO_SLOW * self.slowest
        if quick and (slow or (best and _hopeless(quick, best))):
            self.study.tell(trial, self._told(quick))
            return None
        score = self.objective.measure(self.codec, settings)
        self.study.tell(trial, self._told(score))
        return score if self._keep(settings, score, quick) else None

    def _keep(self, settings: Settings, score: Score, quick: Score | None) -> bool:
        """Take settings up as the best if they are; whether they are fast enough to be."""
        if score.encode_us > self.slowest:
            return False
        if self.best is None or score.loss < self.best.score.loss:
            self.best = _Best(settings, score, quick)
        return True

    def _told(self, score: Score) -> float:
        """What the estimator hears of a trial: that slow settings are bad ones."""
        return score.loss if score.encode_us <= self.slowest else 2 * score.loss


def _study(seed: int) -> Any:
    """A study, in memory."""
    optuna = require("optuna", INSTALL)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=8)
    return optuna.create_study(sampler=sampler)


def _pruned() -> Any:
    return require("optuna", INSTALL).trial.TrialState.PRUNED


def searchable(settings_type: type[Settings]) -> list[FieldInfo]:
    """The fields that a search can set: choices, switches and ranges, but not the knob."""
    return [
        info
        for info in settings_type.fields()
        if info.option.ladder is None and info.option.searched and _kind(info) is not None
    ]


def _kind(info: FieldInfo) -> type | None:
    """The field's type as a search sees it."""
    kinds = [kind for kind in members(info.type) if kind is not type(None)]
    kind = kinds[0] if len(kinds) == 1 else None
    ranged = info.option.low is not None and info.option.high is not None
    if info.option.choices is not None or kind is bool or (kind in (int, float) and ranged):
        return kind
    return None


def _suggest(trial: Any, info: FieldInfo) -> Any:
    values, (low, high) = alternatives(info), _range(info)
    if values is not None:
        return trial.suggest_categorical(info.name, values)
    if _kind(info) is int:
        return trial.suggest_int(info.name, int(low), int(high))
    return trial.suggest_float(info.name, low, high)


def alternatives(info: FieldInfo) -> list[Any] | None:
    """What a field is chosen from; None for a number in a range."""
    kind = _kind(info)
    if info.option.choices is not None:
        return list(info.option.choices)
    if kind is bool:
        return [False, True]
    if type(None) in members(info.type):
        steps = np.linspace(*_range(info), 6)
        return [None, *(sorted({int(step) for step in steps}) if kind is int else steps.tolist())]
    return None


def _range(info: FieldInfo) -> tuple[float, float]:
    return float(info.option.low or 0), float(info.option.high or 0)


def _known(settings: Settings, fields: Iterable[FieldInfo]) -> dict[str, Any]:
    """The fields' values, but for those that a trial cannot have."""
    return {
        info.name: value
        for info in fields
        if (value := getattr(settings, info.name)) is not None or None in (alternatives(info) or ())
    }


def _steps(settings: Settings, fields: Iterable[FieldInfo]) -> Iterator[Settings]:
    """Settings that differ in one field: in any other choice, or by a step up or down."""
    for info in fields:
        value, values, (low, high) = getattr(settings, info.name), alternatives(info), _range(info)
        if values is None:
            places = [value + sign * (high - low) / steps for steps in _STEPS for sign in (1, -1)]
            values = np.clip(places, low, high).tolist()
            values = [round(place) for place in values] if _kind(info) is int else values
        for other in values:
            if other != value:
                with contextlib.suppress(SettingsError):
                    yield settings.replace(**{info.name: other})


def _hopeless(score: Score, best: Score) -> bool:
    """Whether a score is worse than the best, image by image, beyond doubt."""
    difference = score.losses - best.losses
    error = difference.std() / np.sqrt(len(difference))
    return bool(difference.mean() > _HOPELESS * error)
