"""The front door of tuning: `tune` as a function that takes what users have."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import UsageError
from codecframe.core.head import TaskHead
from codecframe.core.outputs import make_way, refuse_foreign, refuse_inputs
from codecframe.core.presets import SettingsLike, is_tuned, settings_for
from codecframe.core.progress import ProgressMaker, automatic
from codecframe.images import ImageSet, group_names, open_held_out, open_labelled, without
from codecframe.rate import Accounting, Budget, Keep, one_asked
from codecframe.tuning.memory import is_memory
from codecframe.tuning.run import Tuning
from codecframe.tuning.run import tune as run_tuning

_ANY = "any"
"""No encoder in particular."""


def tune(
    codec: Codec[Any] | str | os.PathLike[str],
    images: Any,
    head: TaskHead | str | os.PathLike[str],
    *,
    budget: Budget | Keep | str | None = None,
    keep: Keep | str | None = None,
    score: float | None = None,
    confidence: float | None = None,
    settings: SettingsLike = None,
    preset: str | Path | None = None,
    encoder: str | None = None,
    accounting: Accounting | str | None = None,
    labels: str | Path | Sequence[int | str] | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
    group: str | None = None,
    held_out: Any = (),
    trials: int = 100,
    seed: int = 0,
    most_time: float = 4.0,
    output: str | Path | None = None,
    force: bool = False,
    progress: ProgressMaker | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Tuning:
    """Find settings of a codec that suit a head at a budget.

        found = codecframe.tune("jpeg", "photos/", "model.onnx", budget="0.8bpp")
        found.preset.write("jpeg.yaml")

    Every other image tunes; the rest decides whether what was found is kept, so that on images that
    it has not seen it never loses to the defaults, nor to the presets that come with the codec.

    Args:
        codec: a codec, its name, or its model file.
        images: images, as `codecframe.profile` takes them.
        head: whose loss counts: a head, its name, a model file, a description, or a function.
        budget: what to tune for, met on average: `0.8bpp`, `1200B`, `12kB`.
        keep, score, confidence: instead, what must stay right, as `codecframe.select` takes it.
            Tuned is for the bytes at which the settings started from keep it; the preset is at the
            level of the fewest bytes that surely keeps it, by the held-out images.
        settings: settings to start from: an object, a mapping, or `key=value` texts.
        preset: a preset to start from: one that comes with the codec, or a file.
        encoder: leave alone what this other encoder cannot do: for jpeg `pillow` or `cjpeg`.
        accounting: which bytes count, `payload` or `file`; by default payloads, and whole files
            where an encoder is given.
        labels, where, limit, data_root: as `codecframe.profile` takes them.
        group: how to tell images that belong together and are held out together: `folder`,
            `pattern:REGEX` or `column:NAME`.
        held_out: images that decide, not every other one: files, folders, `COLUMN=VALUE` of the
            labels file, or an `ImageSet`.
        trials: settings to try.
        seed: of the search.
        most_time: settings may take this many times as long to encode as those started from.
        output: the preset's file; what was measured lies beside it, so that a run that was stopped
            goes on. By default nothing is written.
        force: files of these names are replaced, whoever made them.
        progress: shows how far it is; by default a bar in notebooks.
        warn: takes what a user should know, e.g. that held-out images look like others.

    Raises:
        UsageError: for both `group` and `held_out`, or if nothing is asked for.
        DataError: if there are too few images, or they cannot be read.
        UnknownNameError: for a codec, head, preset or encoder that does not exist.
        MismatchError: if only some images have labels.
        BudgetError: if the budget cannot be read, the images are too few for what must stay right,
            or nothing keeps it.
        OutputError: if files of these names are there that no tuning made.

    Examples:
        >>> cf.tune("webp", "photos", "photo_heads:brightness", budget="900B")
        Traceback (most recent call last):
        DataError: images: tuning takes 16 or more, not 3
    """
    asked = one_asked(budget, keep, score, confidence, mean=False)
    if asked is None:
        raise UsageError("give {budget}, {keep} or {score}")
    chosen = codec if isinstance(codec, Codec) else registry.default().codec(os.fspath(codec))
    if group and held_out:
        raise UsageError("{held_out} says which images decide: {group} has nothing to say")
    judge = head if isinstance(head, TaskHead) else registry.default().head(os.fspath(head))
    choice: dict[str, Any] = {"where": where, "limit": limit, "data_root": data_root}
    items = open_labelled(images, labels, task=judge.task, **choice)
    target = None if output is None else Path(output)
    memory = None if target is None else target.with_suffix(".trials")
    given = [
        os.fspath(one) for one in (labels, head, preset) if isinstance(one, (str, os.PathLike))
    ]
    texts = [] if settings is None or isinstance(settings, Mapping) else _texts(settings)
    named = [text.partition("=")[2] for text in texts if text.startswith("preset=")]
    sources = [*(item.path for item in items if item.path), *given, *named]
    if target is not None and memory is not None:  # nothing is lost, before hours of tuning
        refuse_inputs([target, memory], sources)
        refuse_foreign(target, is_tuned, force=force)
        refuse_foreign(memory, is_memory, force=force)
        make_way(memory, is_memory)
    held = None
    if held_out:
        held = open_held_out_images(
            held_out, images, labels=_labels_file(labels), task=judge.task, **choice
        )
    if held is not None:
        items = without(items, held)
    other = None if encoder == _ANY else encoder
    counting = Accounting(accounting or ("file" if other else "payload"))
    if isinstance(asked, Budget):
        asked = Budget.of(asked, mean=True) or asked
    kept = asked if isinstance(asked, Keep) else None
    said = {
        "images": images, "head": head, "budget": None if kept else budget,
        "keep": kept and kept.text, "confidence": kept and kept.confidence,
        "for": other, "preset": preset, "set": texts, "accounting": accounting,
        "labels": labels, "limit": limit, "group": group,
        "where": [f"{key}={value}" for key, value in (where or {}).items()],
        "held-out": held_out, "trials": trials, "seed": seed, "most-time": most_time,
        "output": output,
    }  # fmt: skip
    found = run_tuning(
        chosen,
        judge,
        items,
        asked,
        counting,
        base=settings_for(chosen, settings, preset),
        encoder=other,
        groups=group_names(items, group, _labels_file(labels)) if group else None,
        held_out=held,
        trials=trials,
        seed=seed,
        most_time=most_time,
        measured=memory,
        made={"command": _command(codec, said), "seed": seed},
        progress=progress or automatic(f"tune {chosen.name}"),
    )
    if target is not None:
        found.preset.write(target)
    if found.warning:
        warn(found.warning)
    return replace(found, path=target)


def _labels_file(labels: Any) -> str | Path | None:
    return labels if isinstance(labels, (str, Path)) else None


def _texts(given: Any) -> list[str]:
    """The texts of one or several."""
    if isinstance(given, (str, os.PathLike)):
        return [os.fspath(given)]
    if not isinstance(given, Iterable) or isinstance(given, (ImageSet, Mapping)):
        return []
    return [os.fspath(one) for one in given if isinstance(one, (str, os.PathLike))]


def open_held_out_images(given: Any, images: Any, **choice: Any) -> ImageSet:
    """The images that are held out, of what a user named: a set, files, folders, `COLUMN=VALUE`."""
    if isinstance(given, ImageSet):
        return given
    return open_held_out(_texts(given), _texts(images), **choice)


def _command(codec: Any, said: Mapping[str, Any]) -> str:
    """The command line that does the same, as far as what was given has names."""
    name = codec.name if isinstance(codec, Codec) else os.fspath(codec)
    words = ["codecframe", "tune", name]
    for option, value in said.items():
        one = getattr(value, "name", value) if isinstance(value, TaskHead) else value
        plain = isinstance(one, (int, float, Budget))
        for text in [str(one)] if plain else _texts(one):
            words += [f"--{option}", text]
    return shlex.join(words)
