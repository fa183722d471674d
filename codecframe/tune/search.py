"""Black-box search over a codec's settings, with Optuna's tree-structured Parzen estimator.

Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from codecframe.codec import Codec
from codecframe.errors import BudgetError, SettingsError
from codecframe.registry import require
from codecframe.settings import FieldInfo, Settings
from codecframe.tune.objective import Objective, Score

INSTALL = "codecframe[tune]"
_QUICK = 4
"""A trial is first measured on one in so many of the images."""
_HOPELESS = 2.0
"""Standard errors by which a trial must be worse there to be given up."""
_TOO_SLOW = 1.5
"""Times what an image may take to encode: a trial that needs more there is given up, too."""

_AGAIN = 5
"""Trials of an earlier run that are measured again."""


def search(
    codec: Codec[Any],
    base: Settings,
    objective: Objective,
    trials: int,
    *,
    seed: int,
    study: Path,
    slowest: float,
) -> Iterator[Score | None]:
    """Try settings, the promising ones more often; yields the score of each.

    Settings that are refused, hopeless or too slow give None.

    What an earlier, stopped run found comes first: its best trials are measured again.

    Args:
        codec: the codec.
        base: where the search starts; settings that cannot be searched stay as they are.
        objective: what they are worth.
        trials: how many settings to try, those of an earlier run included.
        seed: of the search.
        study: file that keeps the trials.
        slowest: microseconds that an image may take to encode.

    Raises:
        DependencyError: if optuna is not installed.
    """
    fields = searchable(type(base))
    found = _study(study, seed)
    quick = objective.part(len(objective.images) // _QUICK) if _worth_it(objective) else None
    best = best_quick = None
    finished = [trial for trial in found.trials if trial.state.is_finished()]
    done = [trial for trial in finished if trial.value is not None]
    for trial in sorted(done, key=lambda trial: trial.value)[:_AGAIN]:
        yield objective.measure(codec, base.from_dict(trial.user_attrs["settings"]))
    if not finished:
        known = {f.name: getattr(base, f.name) for f in fields}
        found.enqueue_trial({name: value for name, value in known.items() if value is not None})
    for _ in range(len(finished), trials):
        trial = found.ask()
        try:
            settings = base.replace(**{f.name: _suggest(trial, f) for f in fields})
            trial.set_user_attr("settings", settings.to_dict())
            first = quick.measure(codec, settings) if quick else None
            if first and (
                first.encode_us > _TOO_SLOW * slowest
                or (best_quick and _hopeless(first, best_quick))
            ):
                found.tell(trial, _told(first, slowest))
                yield None
                continue
            score = objective.measure(codec, settings)
        except (SettingsError, BudgetError):
            found.tell(trial, state=_pruned())
            yield None
            continue
        found.tell(trial, _told(score, slowest))
        in_time = score.encode_us <= slowest
        if in_time and (best is None or score.loss < best.loss):
            best, best_quick = score, first
        yield score if in_time else None


def _told(score: Score, slowest: float) -> float:
    """What the sampler hears of a trial: that slow settings are bad ones."""
    return score.loss if score.encode_us <= slowest else 2 * score.loss


def _study(path: Path, seed: int) -> Any:
    """The study in a file, begun or gone on with."""
    optuna = require("optuna", INSTALL)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    return optuna.create_study(
        study_name="tune",
        storage=optuna.storages.JournalStorage(backend),
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=8),
    )


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
    kinds = [kind for kind in _alternatives(info.type) if kind is not type(None)]
    kind = kinds[0] if len(kinds) == 1 else None
    ranged = info.option.low is not None and info.option.high is not None
    if info.option.choices is not None or kind is bool or (kind in (int, float) and ranged):
        return kind
    return None


def _suggest(trial: Any, info: FieldInfo) -> Any:
    option, kind = info.option, _kind(info)
    if option.choices is not None:
        return trial.suggest_categorical(info.name, list(option.choices))
    if kind is bool:
        return trial.suggest_categorical(info.name, [False, True])
    if type(None) in _alternatives(info.type):
        steps = np.linspace(float(option.low or 0), float(option.high or 0), 6)
        values = sorted({int(step) for step in steps}) if kind is int else steps.tolist()
        return trial.suggest_categorical(info.name, [None, *values])
    if kind is int:
        return trial.suggest_int(info.name, int(option.low or 0), int(option.high or 0))
    return trial.suggest_float(info.name, float(option.low or 0), float(option.high or 0))


def _alternatives(kind: Any) -> tuple[Any, ...]:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return typing.get_args(kind)
    return (kind,)


def _worth_it(objective: Objective) -> bool:
    return len(objective.images) >= 32 * _QUICK


def _hopeless(score: Score, best: Score) -> bool:
    """Whether a score is worse than the best, image by image, beyond doubt."""
    difference = score.losses - best.losses
    error = difference.std() / np.sqrt(len(difference))
    return bool(difference.mean() > _HOPELESS * error)
