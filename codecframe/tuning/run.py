"""Tuning from images to a preset: search on one half, judge on the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError, DataError, MismatchError, SettingsError
from codecframe.core.head import TaskHead
from codecframe.core.presets import Preset
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.settings import Settings
from codecframe.core.statistics import paired_difference, wilson
from codecframe.images import ImageItem
from codecframe.rate import Accounting, Budget
from codecframe.tuning.memory import Memory
from codecframe.tuning.objective import F64, Objective, Score
from codecframe.tuning.retrain import check_retrainable, retrain, seen
from codecframe.tuning.search import search

_FINALISTS = 5
"""So many of the best on the tuning images are judged on the others."""


@runtime_checkable
class SelfTuning(Protocol):
    """A codec that knows better than a search how some of its settings are found."""

    def tune(
        self, base: Settings, objective: Objective, *, trials: int, seed: int, slowest: float
    ) -> Iterator[Score]:
        """Settings and what they are worth, as they are found.

        Args:
            base: what to start from, e.g. the best of a search.
            objective: what settings are worth.
            trials: how many settings to measure, at most.
            seed: of all randomness.
            slowest: microseconds that encoding an image may take.
        """
        ...


@dataclass(frozen=True)
class Tuning:
    """What a tuning found.

    Attributes:
        preset: the settings, how they were found and what they scored.
        improved: whether they are better than the defaults on the held-out images; if not, the
            preset is the defaults.
        retrained: the description file of the head that was retrained for it, if one was.
    """

    preset: Preset
    improved: bool
    retrained: Path | None = None


def tune(
    codec: Codec[Any],
    head: TaskHead,
    items: Sequence[ImageItem],
    budget: Budget,
    accounting: Accounting = Accounting.PAYLOAD,
    *,
    base: Settings | None = None,
    trials: int = 100,
    seed: int = 0,
    most_time: float = 4.0,
    measured: Path | None = None,
    made: dict[str, Any] | None = None,
    retrain_to: Path | None = None,
    progress: ProgressMaker = Silent,
) -> Tuning:
    """Find settings of a codec for a head at a budget.

    The images are split in two: every other one tunes, the rest is held out and decides whether
    what was found is kept.

    Args:
        codec: the codec.
        head: whose loss counts.
        items: images, all with labels or none.
        budget: rate to tune for; met on average over the images.
        accounting: which bytes count.
        base: settings to start from; by default the codec's defaults.
        trials: settings to try.
        seed: of the search.
        most_time: settings may take this many times as long to encode as the base.
        measured: file that keeps what was measured, from which a stopped run goes on as if it had
            not been stopped; None keeps nothing.
        made: what the preset shall say of how it was made, besides for which head.
        retrain_to: where to write a description of the head as it is after retraining it on what
            the tuned codec leaves of the images; None retrains none.
        progress: shows how far it is.

    Raises:
        DataError: if there are too few images.
        MismatchError: if some images have labels and some do not, or the head cannot be retrained.
        OutputError: if `measured` is a file that no tuning made.
    """
    trained = None if retrain_to is None else check_retrainable(head)
    tuning, held = (_objective(head, part, budget, accounting) for part in _halves(items))
    start = base if base is not None else codec.settings_type()
    with Memory(measured) as memory:
        default = tuning.resume(memory, codec, start)
        found = [default]
        steps = _steps(codec, start, tuning, found, trials, seed, most_time * default.encode_us)
        with progress(trials) as display:
            for score in steps:
                if score is not None:
                    found.append(score)
                best = min(found, key=_loss)
                display.advance(1, f"loss {best.loss:.4f}, {100 * best.score:.1f} % at {budget}")
        tuned = _plainest(codec, start, tuning, _chosen(codec, held, found))
    winner, usual = (held.measure(codec, settings) for settings in (tuned.settings, start))
    improved = winner.loss < usual.loss
    if not improved:
        winner, tuned = usual, default
    scored = {
        "budget": str(budget),
        "accounting": str(accounting),
        "held-out": _said(winner, usual),
        "tuning": _said(tuned, default),
        "encode_time": round(winner.encode_us / usual.encode_us, 2),
    }
    if trained and retrain_to:
        settings = winner.settings
        new = retrain(
            trained, codec, settings, tuning, held, retrain_to, seed=seed, progress=progress
        )
        scored["retrained"] = _retrained(new, held.judge(seen(codec, settings, held)))
    made = {"head": head.name, **(made or {})}
    preset = Preset(codec.name, tuned.settings.changed(), made, scored)
    return Tuning(preset, improved, retrain_to)


def _steps(
    codec: Codec[Any],
    start: Settings,
    objective: Objective,
    found: list[Score],
    trials: int,
    seed: int,
    slowest: float,
) -> Iterator[Score | None]:
    """First a search over what the settings declare, then what the codec itself knows to do."""
    own = isinstance(codec, SelfTuning)
    searched = trials // 3 if own else trials
    yield from search(codec, start, objective, searched, seed=seed, slowest=slowest)
    if isinstance(codec, SelfTuning):
        best = min(found, key=_loss)
        yield from codec.tune(
            best.settings, objective, trials=trials - searched, seed=seed, slowest=slowest
        )


def _chosen(codec: Codec[Any], held: Objective, found: list[Score]) -> Score:
    """Of the best on the tuning images the best on those held out."""
    finalists = sorted(found, key=_loss)[:_FINALISTS]
    return min(finalists, key=lambda score: held.measure(codec, score.settings).loss)


def _plainest(codec: Codec[Any], start: Settings, objective: Objective, best: Score) -> Score:
    """The best without the settings that gain nothing: a search tries many things at once, and some
    of them only cost time.
    """
    knob = start.knob()
    for name in best.settings.changed():
        usual = getattr(start, name)
        if getattr(best.settings, name) == usual or (knob and name == knob.field):
            continue
        try:
            score = objective.measure(codec, best.settings.replace(**{name: usual}))
        except (SettingsError, BudgetError):  # another setting needs this one
            continue
        if score.loss <= best.loss:
            best = score
    return best


def _loss(score: Score) -> float:
    return score.loss


def _halves(items: Sequence[ImageItem]) -> tuple[list[ImageItem], list[ImageItem]]:
    """(tuning, held-out): evenly spread over the set."""
    if len(items) < 16:
        raise DataError("images", f"tuning takes 16 or more, not {len(items)}")
    labelled = {item.target is not None for item in items}
    if len(labelled) > 1:
        raise MismatchError("some of the images have labels and some have none")
    return list(items[::2]), list(items[1::2])


def _objective(
    head: TaskHead, items: Sequence[ImageItem], budget: Budget, accounting: Accounting
) -> Objective:
    images = [head.prepare(item.read()) for item in items]
    targets = None
    if items[0].target is not None:
        targets = [_target(head, item.target) for item in items]
    return Objective(head, images, targets, budget, accounting)


def _target(head: TaskHead, target: Any) -> Any:
    return head.target_of(target) if isinstance(target, str) else target


def _said(tuned: Score, usual: Score) -> dict[str, Any]:
    """Scores beside those of the defaults, on the same images."""
    difference = paired_difference(tuned.scores, usual.scores)
    return {
        "images": len(tuned.scores),
        "tuned": _figures(tuned.losses, tuned.scores),
        "default": _figures(usual.losses, usual.scores),
        "difference": [round(value, 4) for value in difference],
    }


def _retrained(new: tuple[F64, F64], old: tuple[F64, F64]) -> dict[str, Any]:
    """(losses, scores) of the head after and before, on the same held-out encodings."""
    return {
        "images": len(new[0]),
        "retrained": _figures(*new),
        "before": _figures(*old),
        "difference": [round(value, 4) for value in paired_difference(new[1], old[1])],
    }


def _figures(losses: F64, scores: F64) -> dict[str, Any]:
    mean = float(scores.mean())
    low, high = wilson(mean, len(scores))
    return {
        "score": round(mean, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "loss": round(float(losses.mean()), 5),
    }
