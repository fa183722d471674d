"""The front door of adapting: the same head, trained on what a codec leaves of images."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codecframe.core import registry
from codecframe.core.errors import BudgetError, DataError, UsageError
from codecframe.core.head import TaskHead
from codecframe.core.parallel import peak_memory
from codecframe.core.presets import parse_spec
from codecframe.core.progress import ProgressMaker, automatic
from codecframe.core.split import hold_out, leak_warning
from codecframe.core.trainer import TrainingRun
from codecframe.images import ImageItem, ImageSet, group_names, open_labelled, without
from codecframe.rate import Accounting, Budget, Keep, fit_levels
from codecframe.training.adapted import Adapted, AdaptedAt, compared
from codecframe.training.runs import require_all, run_trainer
from codecframe.tuning import read_images
from codecframe.tuning.front import open_held_out_images, tune

KIND = "adapted"
"""The trainer, which a plugin brings."""
RATES = (0.1, 0.2, 0.4, 0.8)
"""Bits per pixel, where no rates are asked for."""
_AROUND = (0.6, 1.0, 1.6)
"""Factors of a budget, from the lowest rate that the head is trained for to the highest."""
_LEAST = 16
"""Images that adapting takes at least."""
_REPORTED = 200
"""Held-out images that gains are told of, at most; no more than an eighth of all."""
_SAMPLE = 32
"""Images on which levels for rates are found."""
_TUNED_ON = 400
"""Images that settings are tuned on, at most."""


def adapt(
    head: TaskHead | str | os.PathLike[str],
    images: Any,
    codec: str,
    *,
    budget: Budget | str | None = None,
    rates: Sequence[float] | None = None,
    accounting: Accounting | str = Accounting.PAYLOAD,
    labels: str | Path | Sequence[int | str] | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
    group: str | None = None,
    held_out: Any = (),
    minutes: float = 10.0,
    seed: int = 0,
    and_tune: bool = False,
    trials: int = 100,
    output: str | Path | None = None,
    force: bool = False,
    progress: ProgressMaker | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Adapted:
    """Train a copy of a head so that it says behind a codec what it says of uncompressed images.

        adapted = codecframe.adapt("model.pt2", "photos/", "avif", budget="0.2bpp")
        head = codecframe.get_head(str(adapted))

    No labels are needed. One head serves all rates from the lowest to the highest, and uncompressed
    images. A run that is stopped leaves the best head so far, and goes on when it is started again.

    Args:
        head: a classifier that torch can differentiate: a head, its name, a model file or a
            description.
        images: images, as `codecframe.profile` takes them; a few hundred or more.
        codec: a codec's name, with settings or not: `jpeg:optimize=true`.
        budget: what to adapt for, met on average: `0.2bpp`, `1200B`. The head is trained for rates
            from 0.6 to 1.6 times that.
        rates: or rates to adapt for, in bits per pixel.  By default 0.1, 0.2, 0.4 and 0.8.
        accounting: which bytes count, `payload` or `file`.
        labels: only to tell scores, too.
        where, limit, data_root: as `codecframe.profile` takes them.
        group: as `codecframe.tune` takes it.
        held_out: images that gains are told of, not every eighth one: files, folders,
            `COLUMN=VALUE` of the labels file, or an `ImageSet`.
        minutes: how long to train; more of them go on from what is there.
        seed: of order, crops and levels.
        and_tune: tune the codec's settings for the head, adapt the head to them, and both once
            more. Needs a budget; the preset is written beside the head.
        trials: settings to try each time.
        output: the head's file, `.pt2` or `.onnx`; by default `HEAD-CODEC.pt2`. Checkpoints lie
            beside it, in a folder that ends in `.log`.
        force: files of these names are replaced, whoever made them.
        progress: shows how far it is; by default a bar in notebooks.
        warn: takes what a user should know.

    Raises:
        UsageError: for both `budget` and `rates`, both `group` and `held_out`, `and_tune` without
            a budget, or a codec in the place of the head.
        MismatchError: if the head has no gradients, or the codec no knob.
        BudgetError: if the codec reaches none of the rates.
        DataError: if there are too few images, or they cannot be read.
        UnknownNameError: for a codec or head that does not exist.
        DependencyError: if a package that training needs is not installed.
        OutputError: if files of these names are there that no training made.

    Examples:
        >>> cf.adapt("photo_heads:brightness", "photos", "webp", budget="900B")
        Traceback (most recent call last):
        DataError: images: adapting takes 16 or more, not 3
    """
    _check_order(head, codec)
    if budget is not None and rates:
        raise UsageError("{budget} and {rates} both say what to adapt for: give one of them")
    if group and held_out:
        raise UsageError("{held_out} says which images are held out: {group} has nothing to say")
    if and_tune and budget is None:
        raise UsageError("{and_tune} needs {budget}")
    original = head if isinstance(head, TaskHead) else registry.default().head(os.fspath(head))
    chosen, _ = parse_spec(codec)
    target = Path(output or f"{original.name}-{chosen.name}.pt2")
    if target.suffix not in (".pt2", ".onnx"):
        raise UsageError("{output} is a file that ends in .pt2 or .onnx")
    choice: dict[str, Any] = {"where": where, "limit": limit, "data_root": data_root}
    job = _Job(
        head=original,
        images=_split(images, labels, group, held_out, choice, warn),
        budgets=_budgets(budget, rates),
        accounting=Accounting(accounting),
        seed=seed,
        target=target,
        force=force,
        progress=progress or automatic("adapt"),
        warn=warn,
    )
    began = time.monotonic()
    preset = target.with_suffix(".yaml") if and_tune else None
    if preset is None:
        levels = job.train(codec, minutes, target)
    else:
        codec, levels = _in_turn(job, codec, preset, str(budget), minutes, trials)
    return Adapted(
        path=target,
        head=original.name,
        codec=codec,
        images=len(job.images.reported),
        points=job.figures(codec, levels),
        minutes=(time.monotonic() - began) / 60,
        peak_memory=peak_memory(),
        preset=preset,
    )


def _check_order(head: object, codec: object) -> None:
    """Refuse a codec in the place of the head: it was the first argument once.

    Raises:
        UsageError: for that.
    """
    known = registry.default().codecs
    first, last = (
        one.partition(":")[0] in known if isinstance(one, str) else False for one in (head, codec)
    )
    if first and not last:
        raise UsageError(f"adapt takes {{head}}, {{images}}, {{codec}}: {head!r} is a codec")


def _budgets(budget: Budget | Keep | str | None, rates: Sequence[float] | None) -> list[Budget]:
    """What levels are found for."""
    if isinstance(budget, Keep):
        raise BudgetError(
            "adapting changes what the head says: adapt it at a budget, then ask `select` what "
            "keeps enough behind the adapted head"
        )
    if budget is None:
        return [Budget(rate, "bpp", "mean") for rate in sorted(rates or RATES)]
    asked = Budget.of(budget, mean=True)
    assert asked is not None  # noqa: S101 - a budget was given
    return [replace(asked, amount=asked.amount * factor) for factor in _AROUND]


@dataclass(frozen=True)
class _Images:
    """Images that train, the group of each where some belong together, and those to report on."""

    training: ImageSet
    groups: list[str] | None
    reported: Sequence[ImageItem]


def _split(
    images: Any,
    labels: Any,
    group: str | None,
    held_out: Any,
    choice: Mapping[str, Any],
    warn: Callable[[str], None],
) -> _Images:
    """Read which images there are, and keep some to report on.

    Raises:
        DataError: if there are too few.
    """
    items = open_labelled(images, labels, **choice)
    table = labels if isinstance(labels, (str, Path)) else None
    if held_out:
        held = open_held_out_images(held_out, images, labels=table, **choice)
        rest = without(items, held)
        _check_count(len(rest) + len(held))
        return _Images(rest, None, held.spread(_REPORTED))
    _check_count(len(items))
    groups = group_names(items, group, table) if group else None
    places = hold_out(min(_REPORTED, len(items) // 8), len(items), groups)
    if leak := leak_warning(lambda at: items[at].read(), len(items), places):
        warn(leak)
    apart = set(places)
    kept = [at for at in range(len(items)) if at not in apart]
    of_kept = None if groups is None else [groups[at] for at in kept]
    return _Images(ImageSet([items], kept), of_kept, ImageSet([items], places))


def _check_count(count: int) -> None:
    if count < _LEAST:
        raise DataError("images", f"adapting takes {_LEAST} or more, not {count}")


@dataclass(frozen=True)
class _Job:
    """A head that is adapted to one codec after another, for the budgets that levels are found for.

    `target` is the head's file, which is replaced with `force`, whoever made it.
    """

    head: TaskHead
    images: _Images
    budgets: list[Budget]
    accounting: Accounting
    seed: int
    target: Path
    force: bool
    progress: ProgressMaker
    warn: Callable[[str], None]

    def train(self, codec: str, minutes: float, target: Path, start: str = "") -> tuple[int, ...]:
        """Train the head on what the codec leaves, from the file `start` where there is one; the
        codec's levels for the budgets.
        """
        trainer = registry.default().trainer(KIND)
        require_all(trainer)
        levels = self.levels(codec)
        said = {
            "head": self.head.name,
            "codec": codec,
            "levels": list(levels),
            "accounting": str(self.accounting),
            "minutes": minutes,
            "seed": self.seed,
            "start": start,
        }
        settings = trainer.settings_type.from_dict(said)
        run = TrainingRun(
            name=target.stem,
            images=self.images.training,
            classes=(),
            folder=target.with_suffix(".log"),
            output=target,
            recipe=settings.to_dict(),
            progress=self.progress,
            groups=self.images.groups,
            warn=self.warn,
            head=self.head,
        )
        run_trainer(trainer, settings, run, force=self.force)
        return levels

    def levels(self, codec: str) -> tuple[int, ...]:
        """The codec's levels for the budgets, ascending."""
        chosen, settings = parse_spec(codec)
        some = self.images.training.spread(_SAMPLE)
        sample = [self.head.prepare(item.read()) for item in some]
        return fit_levels(chosen, settings, sample, self.budgets, self.accounting)

    def figures(self, codec: str, levels: Sequence[int]) -> tuple[AdaptedAt, ...]:
        """How the head does on the images to report on, before and after."""
        after = registry.default().head(str(self.target))
        chosen, settings = parse_spec(codec)
        each = [settings.at_level(level) for level in levels]
        images, targets = read_images(self.head, self.images.reported)
        return compared((self.head, after), images, targets, chosen, each, self.accounting)


def _in_turn(
    job: _Job, codec: str, preset: Path, budget: str, minutes: float, trials: int
) -> tuple[str, tuple[int, ...]]:
    """Tune the codec for the head and adapt the head to it, twice; the codec with its preset, and
    its levels.

    Raises:
        OutputError: if a file is there that no tuning made.
    """
    first, before = (path.with_stem(f"{path.stem}-1") for path in (preset, job.target))
    chosen, settings = parse_spec(codec)
    some = job.images.training.spread(_TUNED_ON)
    shared: dict[str, Any] = {
        "budget": budget, "accounting": job.accounting, "trials": trials, "seed": job.seed,
        "force": job.force, "progress": job.progress, "warn": job.warn,
    }  # fmt: skip
    tune(chosen, some, job.head, settings=settings, output=first, **shared)
    spec = f"{chosen.name}:preset={first}"
    job.train(spec, minutes / 2, before)
    adapted = registry.default().head(str(before))
    tune(chosen, some, adapted, preset=first, output=preset, **shared)
    spec = f"{chosen.name}:preset={preset}"
    return spec, job.train(spec, minutes / 2, job.target, str(before))
