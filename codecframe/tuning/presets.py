"""Presets as people look at them: listed, shown, written as other software takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import UnknownNameError, UsageError
from codecframe.core.head import TaskHead
from codecframe.core.listing import Listing
from codecframe.core.presets import Preset, preset_names, preset_path
from codecframe.core.settings import Settings
from codecframe.core.tables import Result, Table
from codecframe.images import ImageSet, open_images
from codecframe.images.sets import ImageSpecs
from codecframe.rate import Accounting, Budget
from codecframe.tuning.exports import check_encoder, in_words, left_behind, measure_export, without
from codecframe.tuning.halves import read_images
from codecframe.tuning.objective import Objective


@dataclass(frozen=True, repr=False)
class PresetInfo(Result):
    """A preset.

    Attributes:
        name: `CODEC:NAME`, or the file's path.
        preset: what is in it.

    Examples:
        >>> cf.presets("jpeg:cifar10").preset.codec
        'jpeg'
    """

    name: str
    preset: Preset

    def brief(self) -> dict[str, Any]:
        """Plain data, with the name."""
        return {"preset": self.name, **vars(self.preset)}

    def row(self) -> list[object]:
        """Cells of a table."""
        return [self.name, *_gain(self.preset.scored)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the preset's file has it."""
        return dict(vars(self.preset))

    def shown(self) -> list[str | Table]:
        """A line for each fact."""
        parts: list[str | Table] = [f"codec: {self.preset.codec}"]
        for title, values in (("made", self.preset.made), ("settings", self.preset.settings)):
            parts.append(f"{title}:")
            for name, value in values.items():
                parts.append(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}")
        budget, points, spread = _gain(self.preset.scored)
        if budget:
            gained = f"{points} points on held-out images at {budget}"
            parts.append(f"scored: {gained} (95 %: {spread})")
        return parts


@dataclass(frozen=True, repr=False)
class PresetExport(Result):
    """Settings as other software takes them.

    Attributes:
        format: which software's.
        text: the settings, to be written into a file.
        notes: what they cost and score there, in lines.

    Examples:
        >>> cf.presets("jpeg:cifar10", export="cjpeg").format
        'cjpeg'
    """

    format: str
    text: str
    notes: tuple[str, ...] = ()

    def shown(self) -> list[str | Table]:
        """The text."""
        return [self.text.rstrip("\n")]


@overload
def presets(preset: None = None) -> Listing[PresetInfo]: ...
@overload
def presets(preset: str | Path) -> PresetInfo: ...
@overload
def presets(
    preset: str | Path | None,
    *,
    export: str,
    images: ImageSpecs | None = None,
    head: TaskHead | str | None = None,
    budget: Budget | str | None = None,
    labels: str | Path | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
) -> PresetExport: ...
def presets(
    preset: str | Path | None = None,
    *,
    export: str | None = None,
    images: ImageSpecs | None = None,
    head: TaskHead | str | None = None,
    budget: Budget | str | None = None,
    labels: str | Path | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
) -> Listing[PresetInfo] | PresetInfo | PresetExport:
    """List the presets that come with codecs, show one, or export its settings.

    What an export costs and scores is in its comments, as `tune` measured it; with `images` and
    `head` it is measured now, and its quality set so that it meets the budget.

    Args:
        preset: `CODEC:NAME`, or a file; None for all that come with codecs.
        export: the software that the settings are for; those of JPEG go to `c`, `cjpeg`, `pillow`.
        images: what to measure the export on, as `open_images` takes it.
        head: the head to measure with, its name or its file.
        budget: bytes of a file, on average; None: the preset's.
        labels: a CSV file with columns `file` and `label`, or `folders`.
        where: only rows of the labels file whose columns have these values.
        limit: at most so many images.
        data_root: folder with the data sets `cifar10` and `cifar100`; `CODECFRAME_DATA` by default.

    Raises:
        UsageError: for arguments that do not go together.
        UnknownNameError: if there is no such preset, export or head.
        DataError: if a file cannot be read.
        BudgetError: if the budget cannot be read.

    Examples:
        >>> "jpeg:cifar10" in [info.name for info in cf.presets()]
        True
        >>> text = cf.presets("jpeg:cifar10", export="cjpeg").text
    """
    if preset is None:
        if export:
            raise UsageError("{export} needs a preset")
        return _all()
    measured = images is not None and not (isinstance(images, (tuple, list)) and not images)
    if measured and not (export and head):
        raise UsageError("{images} measures an export: {export} and {head} say which")
    found = Preset.read(_path(str(preset)))
    if export is None:
        return PresetInfo(str(preset), found)
    figures = found.scored.get("exports", {}).get(export)
    if images is not None and measured and head:
        judge = registry.default().head(head) if isinstance(head, str) else head
        items = open_images(
            images, labels=labels, where=where, limit=limit, data_root=data_root, task=judge.task
        )
        figures = _measured(found, export, items, judge, budget)
    return _export(found, export, figures)


def _all() -> Listing[PresetInfo]:
    found = [
        PresetInfo(f"{codec.name}:{name}", Preset.read(preset_path(codec, name)))
        for codec in registry.default().codecs.values()
        for name in preset_names(codec)
    ]
    return Listing("presets", tuple(found), ("preset", "budget", ">points gained", ">95 %"))


def _path(text: str) -> Path:
    codec, _, name = text.partition(":")
    if name and codec in registry.default().codecs:
        return preset_path(registry.default().codec(codec), name)
    return Path(text)


def _gain(scored: Mapping[str, Any]) -> tuple[str, str, str]:
    """(budget, points gained, their 95 % interval); empty where nothing was measured."""
    if "held-out" not in scored:
        return "", "", ""
    mean, low, high = (100 * value for value in scored["held-out"]["difference"])
    return str(scored["budget"]), f"{mean:+.1f}", f"{low:+.1f} to {high:+.1f}"


def _measured(
    preset: Preset,
    encoder: str,
    items: ImageSet,
    judge: TaskHead,
    budget: Budget | str | None,
) -> dict[str, Any]:
    """What the export costs and scores on images."""
    codec = registry.default().codec(preset.codec)
    check_encoder(codec, encoder)
    known = preset.scored.get("budget")
    allowed = Budget.of(budget or (str(known) if known else None), mean=True)
    if allowed is None:
        raise UsageError("the preset says no budget: {budget} does")
    images, targets = read_images(judge, items)
    objective = Objective(judge, images, targets, allowed, Accounting.FILE)
    settings = codec.settings_type.from_dict(preset.settings)
    return measure_export(codec, settings, encoder, objective)


def _export(preset: Preset, kind: str, figures: Mapping[str, Any] | None) -> PresetExport:
    """The settings as another encoder takes them, with what they cost there."""
    codec = registry.default().codec(preset.codec)
    settings = codec.settings_type.from_dict(preset.settings)
    if kind not in codec.encoders:
        exports = codec.exports(settings)
        if kind not in exports:
            raise UnknownNameError(f"{codec.name} export", kind, exports)
        return PresetExport(kind, exports[kind])
    if figures:
        settings = codec.settings_type.from_dict(figures["settings"])
        notes = in_words(kind, figures)
    else:
        notes = _unmeasured(codec, settings, kind, preset.scored)
        settings = codec.adapted(settings, kind)
    return PresetExport(kind, codec.exports(settings, notes)[kind], tuple(notes))


def _unmeasured(
    codec: Codec[Any], settings: Settings, kind: str, scored: Mapping[str, Any]
) -> list[str]:
    """That the export may cost more than the preset, if it may."""
    lost = left_behind(codec, settings, kind)
    budget = scored.get("budget")
    if not lost and (budget is None or scored.get("accounting") == "file"):
        return []
    beside = f" than the preset's {budget}" if budget else ""
    said = f"not measured: files may cost more{beside}; measure with --images and --head"
    return [*without(kind, lost), said]
