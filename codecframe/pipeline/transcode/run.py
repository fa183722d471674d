"""Transcoding a data set: its parts, and going on where an earlier run stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import codecframe
from codecframe.core import registry
from codecframe.core.errors import (
    CodecframeError,
    DataError,
    MismatchError,
    as_data_error,
)
from codecframe.core.files import reported, write_whole
from codecframe.core.outputs import refuse_inputs
from codecframe.core.presets import SettingsLike, settings_for
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.tables import Result, Table
from codecframe.images.files import find_files
from codecframe.pipeline.engine import Engine, Local, open_engine
from codecframe.pipeline.transcode.folder import Files, parts_of
from codecframe.pipeline.transcode.shards import SUFFIXES, Shard
from codecframe.pipeline.transcode.work import Report, Work
from codecframe.rate import Accounting, Budget, Keep, settled

Part = Files | Shard
"""A part of a data set."""
RECORD = "transcode.json"
"""In the folder that is made: what its files were made with."""


@dataclass(frozen=True, repr=False)
class TranscodeSummary(Result):
    """The outcome of transcoding a data set.

    Attributes:
        report: of what was done now.
        already: images and shards that an earlier run had made.
        lost: (name, reason) of shards that could not be read or written.
        accounting: which bytes were counted.

    Examples:
        >>> summary = cf.transcode("photos", "small", "webp")
        >>> summary.report.images, summary.already, summary.lost
        (3, 0, [])
    """

    report: Report
    already: int
    lost: list[tuple[str, str]]
    accounting: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        report = {**asdict(self.report), "bpp": self.report.bpp, "accounting": self.accounting}
        return report | {"already": self.already, "lost": self.lost}

    def shown(self) -> list[str | Table]:
        """A sentence."""
        report, again = self.report, ""
        if self.already:
            again = f" ({self.already:,} images or shards were made already)"
        kept = f"; {report.kept:,} stayed as they are" if report.kept else ""
        return [
            f"{report.images:,} images{again}, {report.read:,} bytes to {report.bytes:,} "
            f"({self.accounting}), {report.bpp:.3f} bpp{kept}"
        ]


@dataclass(frozen=True)
class _Done:
    part: str
    count: int
    report: Report
    error: str | None = None


def transcode(
    sources: str | Path | Sequence[str | Path],
    target: str | Path,
    codec: str,
    *,
    settings: SettingsLike = None,
    preset: str | Path | None = None,
    budget: Budget | Keep | str | None = None,
    accounting: Accounting | str | None = None,
    payload: bool = False,
    only: Sequence[str] = (),
    leave: Sequence[str] = (),
    engine: Engine | str = "local",
    ray_address: str | None = None,
    force: bool = False,
    progress: ProgressMaker | None = None,
) -> TranscodeSummary:
    """Take a whole data set through a codec: folders of images, WebDataset shards.

    What is made lies in a folder under the same names. A run that was stopped goes on when it is
    started again. What cannot be read is left out and told in the summary. Every engine makes the
    same bytes.

    Args:
        sources: folders, images, globs, tar files (`.tar`, `.tar.gz`, `.tgz`).
        target: the folder; it is made, is empty, or has what an earlier such run made.
        codec: the codec's name, or a learned codec's model file.
        settings: as an object, a mapping, or `key=value` texts; None for the defaults.
        preset: settings found for a task: one that comes with the codec, or a file.
        budget: what an image may cost at most, `0.8bpp` or `12kB`; None: as the settings are;
            or a `Keep`, as `encode` takes it.
        accounting: the bytes that count, `payload` or `file`; None: those that are written.
        payload: write payloads, with a budget one byte before each that names the knob level.
        only: patterns of names; if there are any, images that none fits stay as they are.
        leave: patterns of names of images that stay as they are, such as `*.seg.png`. A pattern
            with a slash is for the whole path, another one for the name in its folder.
        engine: where the work runs: `local`, `ray`, or an engine.
        ray_address: the Ray cluster; None: the one that `RAY_ADDRESS` names, else one is started.
        force: `target` may hold other things; files that are called as those that are made are
            replaced, but never the sources.
        progress: makes a display; told of each part.

    Raises:
        DataError: if there are neither images nor shards, or a source does not exist.
        UnknownNameError, SettingsError, BudgetError: for what does not exist or cannot be read.
        MismatchError: if `target` holds anything else, or holds the sources, or if two things would
            get the same name.
        OutputError: if something cannot be written.

    Examples:
        >>> cf.transcode("photos", "small", "webp", budget="2bpp").report.bpp <= 2
        True
    """
    chosen = registry.default().codec(codec)
    given, allowed = settled(chosen, settings_for(chosen, settings, preset), budget)
    counting = None if accounting is None else str(Accounting(accounting))
    limit = None if allowed is None else str(allowed)
    work = Work(codec, given.changed(), limit, counting, payload, tuple(only), tuple(leave))
    where = open_engine(engine, ray_address) if isinstance(engine, str) else engine
    listed = [sources] if isinstance(sources, (str, Path)) else sources
    return run_work(listed, target, work, engine=where, progress=progress, force=force)


def run_work(
    sources: Sequence[str | Path],
    target: Path | str,
    work: Work,
    *,
    engine: Engine | None = None,
    progress: ProgressMaker | None = None,
    force: bool = False,
) -> TranscodeSummary:
    """Do that work to images and shards: what `transcode` makes of its arguments.

    Args:
        work: what is done to each image.
        engine: where; by default here.
        sources, target, progress, force: as `transcode` takes them.
    """
    target = Path(os.path.abspath(target))
    parts = list(_parts([str(source) for source in sources], work, target))
    if not _continues(target, work):
        _claim(target, work, parts, force=force)
    todo = [p for p in parts if not all((target / output).exists() for output in p.outputs)]
    already = sum(part.count for part in parts) - sum(part.count for part in todo)
    total, lost = Report(), []
    results = (engine or Local()).map(partial(_run, work, target), todo)
    with (progress or Silent)(already + sum(part.count for part in todo)) as display:
        display.advance(already, "made already")
        for done in results:
            total.add(done.report)
            if done.error is not None:
                lost.append((done.part, done.error))
            display.advance(done.count, f"{total.bpp:.3f} bpp {done.part}")
    total.told.sort()
    return TranscodeSummary(total, already, sorted(lost), str(work.counting))


def _run(work: Work, target: Path, part: Part) -> _Done:
    """A part; a shard that is damaged does not stop the others."""
    try:
        return _Done(part.name, part.count, part.transcode(work, target))
    except CodecframeError as error:
        return _Done(part.name, part.count, Report(), str(error))


def _parts(sources: list[str], work: Work, target: Path) -> Iterator[Part]:
    """All parts, in order.

    Raises:
        DataError: if there are none.
        MismatchError: if what is made would be found among the sources, or two things would get the
            same name.
    """
    for source in sources:
        if Path(os.path.abspath(source)) in (target, *target.parents):
            raise MismatchError(f"{target} lies in {source}, or is it: choose a folder beside it")
    images = [source for source in sources if not _is_shard(source)]
    shards = [s for s in sources if _is_shard(s) or os.path.isdir(s) or not os.path.lexists(s)]
    place, found = find_files(shards, SUFFIXES) if shards else (".", [])
    folder, names = find_files(images) if images else (".", [])
    if not names and not found:
        raise DataError(", ".join(sources), "no image and no shard found")
    for name in found:
        yield Shard(os.path.abspath(os.path.join(place, name)), name)
    yield from parts_of(os.path.abspath(folder), names, work, target, taken=found)


def _is_shard(source: str) -> bool:
    """Whether a source is itself a shard, by its name."""
    return source.lower().endswith(SUFFIXES) and not os.path.isdir(source)


def _record(work: Work) -> dict[str, Any]:
    return {"codecframe": codecframe.__version__, **asdict(work)}


def _continues(target: Path, work: Work) -> bool:
    """Whether the folder holds what the same work has made.

    Raises:
        DataError: if its record cannot be read.
    """
    path = target / RECORD
    if not path.exists():
        return False
    with as_data_error(path, OSError, ValueError):
        known = json.loads(path.read_text(encoding="utf-8"))
    return bool(known == json.loads(json.dumps(_record(work))))


def _claim(target: Path, work: Work, parts: Sequence[Part], *, force: bool) -> None:
    """Make the folder with its record.

    Raises:
        MismatchError: if it is there, and made by another run, or by something else.
        OutputError: if what would be replaced is a source.
    """
    if not force and (target / RECORD).exists():
        raise MismatchError(
            f"{target} was made with another codec, other settings or another release; choose "
            "another folder, or replace what is in it with --force"
        )
    with reported(target):
        occupied = target.exists() and any(target.iterdir())
    if occupied and not force:
        raise MismatchError(f"{target} holds something else: choose another folder, or use --force")
    outputs = [target / output for part in parts for output in part.outputs]
    refuse_inputs(outputs, (source for part in parts for source in part.sources))
    with reported(target):
        for path in outputs:  # or they would be taken for what this work has made
            path.unlink(missing_ok=True)
    write_whole(target / RECORD, json.dumps(_record(work), indent=2) + "\n")
