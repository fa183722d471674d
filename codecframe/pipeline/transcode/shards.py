"""WebDataset shards: tar files whose members form samples, by their name up to the first dot.

Images of a sample are encoded and get the codec's suffix; all else stays as it is, byte by byte.
Where two members would get one name they keep their own suffix in front of it. A sample of which an
image fails is left out as a whole, and so are macOS's `._` files. Shards are read once, from front
to back; those compressed by gzip stay so.
https://github.com/webdataset/webdataset
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from codecframe.core.errors import CodecframeError, DataError, LimitError, as_data_error
from codecframe.core.files import reported
from codecframe.core.naming import output_names
from codecframe.core.outputs import open_unless_other
from codecframe.core.parallel import chunks
from codecframe.images import image_suffixes, read_image
from codecframe.pipeline.convert import Encoded, Failed, Read
from codecframe.pipeline.transcode.work import Report, Work

SUFFIXES = (".tar", ".tar.gz", ".tgz")
_MEMBER = 1 << 28
"""Bytes of a member, at most."""
_LEVEL = 1
"""Of gzip: encoded images hardly get smaller."""
_SAMPLES = 32
"""Samples that are in memory at a time, at most."""


@dataclass(frozen=True)
class _Member:
    name: str
    time: int
    content: bytes

    @property
    def key(self) -> str:
        """The sample that it belongs to."""
        path = PurePosixPath(self.name)
        return str(path.parent / path.name.split(".", 1)[0])

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix


@dataclass(frozen=True)
class Shard:
    """One shard.

    Attributes:
        path: the tar file.
        name: its path below the folder that it was found in.
    """

    path: str
    name: str

    @property
    def count(self) -> int:
        """One."""
        return 1

    @property
    def sources(self) -> tuple[str]:
        """The tar file."""
        return (self.path,)

    @property
    def outputs(self) -> tuple[str]:
        """Its own name."""
        return (self.name,)

    def transcode(self, work: Work, target: Path) -> Report:
        """Make the shard.

        Raises:
            DataError: if it is not a tar file, or is damaged, or two members would get one name.
            LimitError: if a member is too large.
            OutputError: if it cannot be written.
        """
        report = Report()
        names: set[str] = set()
        with (
            open_unless_other(target / self.name) as file,
            _compressed(file, self.name) as content,
            tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as made,
        ):
            grouped = groupby(self._members(), key=lambda member: member.key)
            for samples in chunks((list(group) for _, group in grouped), _SAMPLES):
                for members in _transcoded(samples, work, report, self.name):
                    for member in members:
                        if member.name in names:
                            raise DataError(self.path, f"two members would be {member.name}")
                        names.add(member.name)
                        _write(made, member)
        return report

    def _members(self) -> Iterator[_Member]:
        """The files in it; links and other members are left out."""
        kinds = tarfile.TarError, EOFError, ValueError, zlib.error
        said = "is not a tar file, or is damaged"
        with (
            as_data_error(self.path, OSError),
            as_data_error(self.path, *kinds, saying=said),
            tarfile.open(self.path, mode="r|*") as shard,
        ):
            for entry in shard:
                if not entry.isreg() or PurePosixPath(entry.name).name.startswith("._"):
                    continue  # macOS's tar makes the latter, for what other systems lack
                if entry.size > _MEMBER:
                    raise LimitError(f"{self.path}: {entry.name} has {entry.size:,} bytes")
                file = shard.extractfile(entry)
                content = file.read() if file else b""
                if len(content) != entry.size:
                    raise DataError(self.path, f"ends within {entry.name}")
                yield _Member(entry.name, int(entry.mtime), content)


def _transcoded(
    samples: Sequence[list[_Member]], work: Work, report: Report, shard: str
) -> Iterator[list[_Member]]:
    """The samples with their images encoded, without those of which an image fails."""
    suffixes = image_suffixes()
    images = [
        member
        for sample in samples
        for member in sample
        if member.suffix.lower() in suffixes and _takes(member, work, report)
    ]
    done = work.encode(_read(member, shard) for member in images)
    results: dict[int, Encoded | Failed] = {}
    for member, result in zip(images, done, strict=True):
        report.note(result, len(member.content))
        results[id(member)] = result
    for sample in samples:
        found = [results.get(id(member)) for member in sample]
        if not any(isinstance(result, Failed) for result in found):
            yield _renamed(sample, found, work)


def _takes(member: _Member, work: Work, report: Report) -> bool:
    """Whether an image is encoded; one that stays as it is is counted."""
    taken = work.takes(member.name)
    report.kept += not taken
    return taken


def _renamed(
    sample: Sequence[_Member], found: Sequence[Encoded | Failed | None], work: Work
) -> list[_Member]:
    """A sample's members, images replaced by what was made of them."""
    sources = [m.name for m, r in zip(sample, found, strict=True) if isinstance(r, Encoded)]
    others = {m.name for m, r in zip(sample, found, strict=True) if not isinstance(r, Encoded)}
    names = iter(output_names(sources, work.suffix, taken=others))
    return [
        _Member(next(names), member.time, work.content(result))
        if isinstance(result, Encoded)
        else member
        for member, result in zip(sample, found, strict=True)
    ]


def _read(member: _Member, shard: str) -> Read | Failed:
    name = f"{shard}/{member.name}"
    try:
        return Read(name, read_image(member.content, name))
    except CodecframeError as error:
        return Failed(name, error)


@contextmanager
def _compressed(file: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """What a shard of that name is written to; the same bytes whenever it is made."""
    if name.lower().endswith(SUFFIXES[0]):
        yield file
        return
    with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
        yield cast("BinaryIO", packed)


def _write(shard: tarfile.TarFile, member: _Member) -> None:
    entry = tarfile.TarInfo(member.name)
    entry.size, entry.mtime = len(member.content), member.time
    with reported(member.name):
        shard.addfile(entry, io.BytesIO(member.content))
