"""Transcoding a data set: its parts, and going on where an earlier run stopped."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import codecframe
from codecframe.core.errors import CodecframeError, DataError, MismatchError
from codecframe.core.files import write_whole
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.images.files import find_files
from codecframe.pipeline.engine import Engine, Local
from codecframe.pipeline.transcode.folder import parts_of
from codecframe.pipeline.transcode.shards import SUFFIX, Shard
from codecframe.pipeline.transcode.work import Part, Report, Work

RECORD = "transcode.json"
"""In the folder that is made: what its files were made with."""


@dataclass(frozen=True)
class Summary:
    """What became of a data set.

    Attributes:
        report: of what was done now.
        already: images and shards that an earlier run had made.
        lost: (name, reason) of shards that could not be read or written.
    """

    report: Report
    already: int
    lost: list[tuple[str, str]]


@dataclass(frozen=True)
class _Done:
    part: str
    count: int
    report: Report
    error: str | None = None


def transcode(
    sources: Sequence[str | Path],
    target: Path | str,
    work: Work,
    *,
    engine: Engine | None = None,
    progress: ProgressMaker | None = None,
) -> Summary:
    """Transcode images and shards into the folder `target`, under the same names.

    A run that was stopped goes on when it is started again: parts that are complete are kept.

    Args:
        sources: folders, images, globs, tar files; folders are searched through.
        target: the folder; it is made, is empty, or has what an earlier such run made.
        work: what is done to each image.
        engine: where; by default here.
        progress: shows how far it is.

    Raises:
        DataError: if there is no image and no shard, or a source does not exist.
        MismatchError: if `target` holds anything else, or holds the sources.
        OutputError: if something cannot be written.
    """
    target = Path(os.path.abspath(target))
    parts = list(_parts([str(source) for source in sources], target))
    _claim(target, work)
    todo = [part for part in parts if not part.made(target, work.suffix)]
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
    return Summary(total, already, sorted(lost))


def _run(work: Work, target: Path, part: Part) -> _Done:
    """A part; a shard that is damaged does not stop the others."""
    try:
        return _Done(part.name, part.count, part.transcode(work, target))
    except CodecframeError as error:
        return _Done(part.name, part.count, Report(), str(error))


def _parts(sources: list[str], target: Path) -> Iterator[Part]:
    """All parts, in order.

    Raises:
        DataError: if there are none.
        MismatchError: if what is made would be found among the sources.
    """
    for source in sources:
        if Path(os.path.abspath(source)) in (target, *target.parents):
            raise MismatchError(f"{target} lies in {source}, or is it: choose a folder beside it")
    shards = [shard for source in sources for shard in _shards(source)]
    for name, count in Counter(shard.name for shard in shards).items():
        if count > 1:
            raise MismatchError(f"{count} shards are called {name}: transcode them one by one")
    yield from shards
    images = [s for s in sources if not s.endswith(SUFFIX)]
    folder, names = find_files(images) if images else (".", [])
    if not names and not shards:
        raise DataError(", ".join(sources), "no image and no shard found")
    yield from parts_of(os.path.abspath(folder), names)


def _shards(source: str) -> Iterator[Shard]:
    """The shards that a path means: itself, or all below it."""
    path = Path(source)
    if source.endswith(SUFFIX) and path.is_file():
        yield Shard(os.path.abspath(path), path.name)
    elif path.is_dir():
        for found in sorted(path.rglob(f"*{SUFFIX}")):
            yield Shard(os.path.abspath(found), found.relative_to(path).as_posix())


def _claim(target: Path, work: Work) -> None:
    """Make the folder with its record, or check that the one there has the same.

    Raises:
        MismatchError: if it was made by another work, or by none.
    """
    record: dict[str, Any] = {"codecframe": codecframe.__version__, **asdict(work)}
    path = target / RECORD
    if path.exists():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(str(path), error) from None
        if known != json.loads(json.dumps(record)):
            raise MismatchError(
                f"{target} was made with another codec, other settings or another release; choose "
                "another folder, or remove it to start again"
            )
    elif target.exists() and any(target.iterdir()):
        raise MismatchError(f"{target} holds something else: choose another folder")
    else:
        write_whole(path, json.dumps(record, indent=2) + "\n")
