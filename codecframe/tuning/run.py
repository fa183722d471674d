"""Tuning from images to a preset: search on one half, judge on the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

from codecframe.core.codec import Codec
from codecframe.core.head import TaskHead
from codecframe.core.presets import Preset, describe
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.settings import Settings
from codecframe.core.statistics import paired_difference, wilson
from codecframe.core.tables import Result, Table, interval, percent
from codecframe.images import ImageItem
from codecframe.rate import Accounting, Budget, Keep
from codecframe.tuning.candidates import FINALISTS, Candidates
from codecframe.tuning.exports import check_encoder, in_words, measure_export
from codecframe.tuning.halves import split_images
from codecframe.tuning.keeping import Keeping, Kept
from codecframe.tuning.memory import Memory
from codecframe.tuning.objective import F64, Objective, Score
from codecframe.tuning.starts import starting_points


@dataclass(frozen=True, repr=False)
class Tuning(Result):
    """What a tuning found.

    Attributes:
        preset: the settings, how they were found and what they scored.
        improved: whether they are better than the defaults on the held-out images; if not, the
            preset is the defaults.
        beats_starts: whether they are better there than all that the tuning started from; if not,
            the preset is the best of that.
        warning: what makes the figures doubtful, if anything does.
        path: the preset's file, if it was written.
    """

    preset: Preset
    improved: bool
    beats_starts: bool
    warning: str | None = None
    path: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data: what the preset holds, and how it did."""
        flags = {"improved": self.improved, "beats_starts": self.beats_starts}
        path = None if self.path is None else str(self.path)
        return {"path": path, **flags, **vars(self.preset)}

    def records(self) -> list[dict[str, Any]]:
        """A row for each of what was measured: part of the images, settings, score and loss."""
        return [
            {"images": part, "settings": words, **figures} for part, words, figures in _rows(self)
        ]

    def shown(self) -> Sequence[str | Table]:
        """What was found beside the defaults, on held-out images and on those that tuned."""
        scored = self.preset.scored
        rows = [
            (part, f"{words} (over the budget)" if one.get("over") else words,
             percent(one["score"]), interval(one["low"], one["high"]), f"{one['loss']:.4f}")
            for part, words, one in _rows(self)
        ]  # fmt: skip
        title = f"{scored['budget']}, {scored['accounting']} bytes"
        said: list[str | Table] = [
            Table(("images", "settings", ">score %", ">95 %", ">loss"), rows, title)
        ]
        verdict = f"{_points(scored['held-out']['difference'])} on held-out images"
        if not self.beats_starts:
            held = "the defaults" if not self.improved else scored["start"]["settings"]
            verdict += f"; the search found nothing that beats {held}, which the preset holds"
        said.append(f"\n{verdict}; encoding takes {scored['encode_time']} times as long")
        if self.improved and scored["held-out"]["difference"][0] < 0:
            said.append(
                "the loss, which decides, is lower, though the score is: too few images to tell"
            )
        if "keep" in scored:
            said.append(_promised(scored["keep"]))
        for encoder, figures in scored.get("exports", {}).items():
            said += in_words(encoder, figures)
        if self.path is not None:
            said.append(f"preset: {self.path}")
        return said


def _rows(found: Tuning) -> list[tuple[str, str, dict[str, Any]]]:
    """(images, settings, figures) of what was measured."""
    scored = found.preset.scored
    rows = [
        (part, which, scored[part][which])
        for part in ("held-out", "tuning")
        for which in ("default", "tuned")
    ]
    start = dict(scored["start"])
    rows.insert(1, ("held-out", f"best start: {start.pop('settings')}", start))
    return rows


def _points(difference: Sequence[float]) -> str:
    mean, low, high = (100 * value for value in difference)
    return f"{mean:+.1f} points (95 %: {low:+.1f} to {high:+.1f})"


def tune(
    codec: Codec[Any],
    head: TaskHead,
    items: Sequence[ImageItem],
    asked: Budget | Keep,
    accounting: Accounting = Accounting.PAYLOAD,
    *,
    base: Settings | None = None,
    encoder: str | None = None,
    groups: Sequence[str] | None = None,
    held_out: Sequence[ImageItem] | None = None,
    trials: int = 100,
    seed: int = 0,
    most_time: float = 4.0,
    measured: Path | None = None,
    made: dict[str, Any] | None = None,
    progress: ProgressMaker = Silent,
    clock: Callable[[], float] = process_time,
) -> Tuning:
    """Find settings of a codec for a head at a budget, as `codecframe.tune` does.

    The images are split in two: every other one tunes, the rest is held out and decides whether
    what was found is kept. It is, if it is better there than the base, the codec's variants of it
    and the presets that come with the codec; else the best of these is the answer.

    Args:
        codec, head, accounting, encoder, trials, seed, most_time, progress: as `codecframe.tune`
            takes them.
        items: images, all with labels or none.
        asked: the rate to tune for, met on average over the images; or what must stay right: then
            the rate is the one at which the base keeps it, and the preset is at the level that
            surely does.
        base: settings to start from; by default the codec's defaults.
        groups: of each image, where some belong together: whole groups are held out.
        held_out: images that decide; all of `items` tune.
        measured: file that keeps what was measured, from which a stopped run goes on as if it had
            not been stopped; None keeps nothing.
        made: what the preset shall say of how it was made, besides for which head.
        clock: seconds, by which encoding is timed.
    """
    start = base if base is not None else codec.settings_type()
    if encoder is not None:
        check_encoder(codec, encoder)
        start = codec.adapted(start, encoder)
    split = split_images(head, items, groups, held_out)
    keeping = None
    if isinstance(asked, Keep):
        answers = len(starting_points(codec, start, encoder)) + FINALISTS
        keeping = Keeping(asked, head, split, accounting, answers)
        budget = keeping.budget(codec, start)
    else:
        budget = asked
    tuning, held = (
        Objective(head, half.images, half.targets, budget, accounting, clock)
        for half in (split.tuning, split.held)
    )
    with Memory(measured) as memory:
        default = tuning.resume(memory, codec, start)
        held.remember(memory)
        candidates = Candidates(codec, default, encoder, tuning, held, most_time)
        with progress(candidates.steps(trials)) as display:
            before = memory.kept
            for _ in candidates.measured(trials, seed):
                best = candidates.best()
                tell = display.advance if memory.kept > before else display.skip
                tell(1, f"loss {best.loss:.4f}, {100 * best.score:.1f} % at {budget}")
                before = memory.kept
        with progress(len(candidates.starts) + len(candidates.finalists())) as display:
            for _ in candidates.judged():
                display.advance(1, "held-out images")
        found, best_start = candidates.answer()
        winner, usual, first = (
            held.measure_or_least(codec, score.settings) for score in (found, default, best_start)
        )
        exports = {
            name: measure_export(codec, found.settings, name, tuning, held)
            for name in codec.encoders
        }
    scored: dict[str, Any] = {
        "budget": str(budget),
        "accounting": str(accounting),
        "held-out": _said(winner, usual, held),
        "tuning": _said(found, default, tuning),
        "start": {"settings": describe(codec, best_start.settings) or "defaults"}
        | _figures(first.losses, first.scores),
        "encode_time": round(candidates.times_as_long(found), 2),
        **({"exports": exports} if exports else {}),
    }
    chosen = found.settings
    if keeping is not None and isinstance(asked, Keep):
        kept = keeping.best(codec, chosen)
        usually = kept if found is default else keeping.best(codec, default.settings)
        chosen = kept.settings
        scored["keep"] = _promise(asked, kept, usually)
    if split.warning:
        scored["warning"] = split.warning
    about = {"head": head.name, **({"for": encoder} if encoder else {}), **(made or {})}
    return Tuning(
        Preset(codec.name, chosen.changed(), about, scored),
        improved=winner.loss < usual.loss,
        beats_starts=found is not best_start,
        warning=split.warning,
    )


def _promise(keep: Keep, tuned: Kept, default: Kept) -> dict[str, Any]:
    """What is kept on held-out images, as presets hold it."""
    return {
        "what": str(keep),
        "confidence": keep.confidence,
        **{
            name: {"bytes": round(one.bytes, 1), "kept": round(one.kept, 4), "sure": one.sure}
            for name, one in (("tuned", tuned), ("default", default))
        },
    }


def _promised(promise: Mapping[str, Any]) -> str:
    """What `_promise` holds, as a sentence."""
    tuned, default = promise["tuned"], promise["default"]
    what, sure = promise["what"], f"{100 * promise['confidence']:g} % sure"
    if not tuned["sure"]:
        return (
            f"{what} is not sure on held-out images: they keep {100 * tuned['kept']:.1f} % at "
            f"{tuned['bytes']:.0f} bytes"
        )
    said = f"{what} kept on held-out images, {sure}: {tuned['bytes']:.0f} bytes"
    if not default["sure"]:
        return f"{said}; not sure with the defaults"
    return f"{said}, with the defaults {default['bytes']:.0f}"


def _said(tuned: Score, usual: Score, objective: Objective) -> dict[str, Any]:
    """Scores beside those of the defaults, on the same images; `over` where the defaults are over
    the budget at every level.
    """
    difference = paired_difference(tuned.scores, usual.scores)
    over = {"over": True} if usual.size > objective.allowance else {}
    return {
        "images": len(tuned.scores),
        "tuned": _figures(tuned.losses, tuned.scores),
        "default": _figures(usual.losses, usual.scores) | over,
        "difference": [round(value, 4) for value in difference],
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
