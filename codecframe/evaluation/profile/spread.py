"""Measuring elsewhere: each task takes a span of the images, and its table is merged into ours."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codecframe.core import registry
from codecframe.core.errors import MismatchError
from codecframe.core.progress import Progress, Silent
from codecframe.evaluation.profile.measure import measure, spans
from codecframe.evaluation.profile.table import Point, ProfileTable
from codecframe.images import ImageItem
from codecframe.pipeline.engine import Engine


@dataclass(frozen=True)
class _Measure:
    """What every task does; travels once to each machine."""

    images: Sequence[ImageItem]
    head: str
    meta: Mapping[str, Any]
    points: Sequence[Point]
    prepare: bool

    def __call__(self, span: range) -> tuple[range, bytes]:
        """The profile of a span, as a file's bytes."""
        head = registry.default().head(self.head)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "span.profile"
            with ProfileTable.create(path, self.meta) as table, Silent(0) as progress:
                measure(
                    table,
                    self.images,
                    head,
                    self.points,
                    prepare=self.prepare,
                    progress=progress,
                    span=span,
                )
            return span, path.read_bytes()


def spread(
    table: ProfileTable,
    images: Sequence[ImageItem],
    head: str,
    points: Sequence[Point],
    engine: Engine,
    *,
    prepare: bool,
    progress: Progress,
) -> None:
    """As `measure`, on an engine; a span that the table holds is not measured again.

    Args:
        head: by what the head is opened there: its name, file or function.

    Raises:
        MismatchError: as `measure`, or if a point meets a link's budget.
    """
    if any(point.mode == "link" for point in points):
        raise MismatchError("a link's budget is met image after image: use the local engine")
    meta = {key: value for key, value in table.meta.items() if key != "format"}
    work = _Measure(images, head, meta, points, prepare)
    todo = [span for span in spans(len(images)) if not _complete(table, points, span)]
    held = len(images) - sum(len(span) for span in todo)
    progress.skip(held * len(points), "already measured")
    with tempfile.TemporaryDirectory() as folder:
        for span, content in engine.map(work, todo):
            path = Path(folder) / "span.profile"
            path.write_bytes(content)
            with ProfileTable.open(path) as part:
                table.merge(part)
            progress.advance(len(span) * len(points), f"images {span.start} to {span.stop}")


def _complete(table: ProfileTable, points: Sequence[Point], span: range) -> bool:
    wanted = set(span) - table.skipped_ids()
    return all(
        wanted <= table.done(table.add_point(point), span.start, span.stop) for point in points
    )
