"""Folders of images; a part is some of a folder's files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from codecframe.core.errors import DataError
from codecframe.core.naming import output_names
from codecframe.core.outputs import write_unless_other
from codecframe.images import FileSet
from codecframe.pipeline.convert import Encoded, Failed, read_set
from codecframe.pipeline.transcode.work import Report, Work

_PART = 64
"""Images of a part: few enough to be lost with a worker, enough to be worth a journey."""


@dataclass(frozen=True)
class Files:
    """Some images of a folder.

    Attributes:
        folder: the folder.
        names: their paths in it, with forward slashes.
        outputs: the paths of their outputs.
    """

    folder: str
    names: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The first of them."""
        return self.names[0]

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.names)

    @property
    def sources(self) -> list[str]:
        """Their paths."""
        return [os.path.join(self.folder, name) for name in self.names]

    def transcode(self, work: Work, target: Path) -> Report:
        """Make their files."""
        report = Report()
        taken = [name for name in self.names if work.takes(name)]
        done = work.encode(read_set(FileSet(self.folder, taken)))
        for name, output in zip(self.names, self.outputs, strict=True):
            source = Path(self.folder, name)
            if not work.takes(name):
                _copy(name, source, target / output, report)
                continue
            result = next(done)
            if isinstance(result, Encoded):
                write_unless_other(target / output, work.content(result))
            report.note(result, _size(source))
        return report


def parts_of(
    folder: str, names: Sequence[str], work: Work, target: Path, taken: Sequence[str] = ()
) -> Iterator[Files]:
    """The parts of a folder, in order.

    Args:
        folder: the folder.
        names: images in it.
        work: what is done to them.
        target: where what is made will lie.
        taken: names of other things that will lie there.

    Raises:
        MismatchError: if two things would get the same name.
    """
    encoded = [name for name in names if work.takes(name)]
    copied = [name for name in names if not work.takes(name)]
    outputs = output_names(encoded, work.suffix, taken=[*copied, *taken], folder=target)
    made = dict(zip(encoded, outputs, strict=True))
    for first in range(0, len(names), _PART):
        part = tuple(names[first : first + _PART])
        yield Files(folder, part, tuple(made.get(name, name) for name in part))


def _copy(name: str, source: Path, target: Path, report: Report) -> None:
    """Copy an image that stays as it is."""
    try:
        data = source.read_bytes()
    except OSError as error:
        report.note(Failed(name, DataError(str(source), error.strerror or error)), 0)
        return
    write_unless_other(target, data)
    report.kept += 1


def _size(path: Path) -> int:
    """Bytes of a file; 0 if it is not there, as behind a link that leads nowhere."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
