"""Folders of images: a part is some of their files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from codecframe.core.files import write_whole
from codecframe.images import FileSet
from codecframe.pipeline.convert import Encoded, read_set
from codecframe.pipeline.transcode.work import Report, Work

_PART = 64
"""Images of a part: few enough to be lost with a worker, enough to be worth a journey."""


@dataclass(frozen=True)
class Files:
    """Some images of a folder.

    Attributes:
        folder: the folder.
        names: their paths in it, with forward slashes.
        stems: the paths of what is made of them, without the suffix.
    """

    folder: str
    names: tuple[str, ...]
    stems: tuple[str, ...]

    @property
    def name(self) -> str:
        """The first of them."""
        return self.names[0]

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.names)

    def made(self, target: Path, suffix: str) -> bool:
        """Whether all their files are there already."""
        return all((target / (stem + suffix)).exists() for stem in self.stems)

    def transcode(self, work: Work, target: Path) -> Report:
        """Make their files."""
        report = Report()
        done = work.encode(read_set(FileSet(self.folder, list(self.names))))
        for name, stem, result in zip(self.names, self.stems, done, strict=True):
            report.note(result, os.path.getsize(os.path.join(self.folder, name)))
            if isinstance(result, Encoded):
                write_whole(target / (stem + work.suffix), work.content(result))
        return report


def parts_of(folder: str, names: Sequence[str]) -> Iterator[Files]:
    """The parts of a folder, in order. Files that differ only by suffix keep it in their names."""
    bare = [str(PurePosixPath(name).with_suffix("")) for name in names]
    seen = Counter(bare)
    stems = [stem if seen[stem] == 1 else name for stem, name in zip(bare, names, strict=True)]
    for first in range(0, len(names), _PART):
        last = first + _PART
        yield Files(folder, tuple(names[first:last]), tuple(stems[first:last]))
