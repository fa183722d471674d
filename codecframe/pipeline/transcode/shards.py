"""WebDataset shards: tar files whose members form samples, by their name up to the first dot.

Images of a sample are encoded and get the codec's suffix; all else stays as it is, byte by byte. A
sample of which an image fails is left out as a whole. Shards are read once, from front to back.
https://github.com/webdataset/webdataset
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from codecframe.core.errors import CodecframeError, DataError, LimitError
from codecframe.core.files import open_whole, reported
from codecframe.core.parallel import chunks
from codecframe.images import image_suffixes, read_image
from codecframe.pipeline.convert import Encoded, Failed, Read
from codecframe.pipeline.transcode.work import Report, Work

SUFFIX = ".tar"
_MEMBER = 1 << 28
"""Bytes of a member, at most."""
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

    def made(self, target: Path, suffix: str) -> bool:
        """Whether it is there already."""
        del suffix
        return (target / self.name).exists()

    def transcode(self, work: Work, target: Path) -> Report:
        """Make the shard.

        Raises:
            DataError: if it is no tar file, or damaged.
            LimitError: if a member is too large.
            OutputError: if it cannot be written.
        """
        report = Report()
        with (
            open_whole(target / self.name) as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as made,
        ):
            for samples in chunks(self._samples(), _SAMPLES):
                for members in _transcoded(samples, work, report, self.name):
                    for member in members:
                        _write(made, member)
        return report

    def _samples(self) -> Iterator[list[_Member]]:
        members = groupby(self._members(), key=lambda member: member.key)
        return (list(group) for _, group in members)

    def _members(self) -> Iterator[_Member]:
        """The files in it; links and others that are none are left out."""
        try:
            with tarfile.open(self.path, mode="r|") as shard:
                for entry in shard:
                    if not entry.isreg():
                        continue
                    if entry.size > _MEMBER:
                        raise LimitError(f"{self.path}: {entry.name} has {entry.size:,} bytes")
                    file = shard.extractfile(entry)
                    content = file.read() if file else b""
                    if len(content) != entry.size:
                        raise DataError(self.path, f"ends within {entry.name}")
                    yield _Member(entry.name, int(entry.mtime), content)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise DataError(self.path, f"is no tar file, or damaged: {error}") from None
        except OSError as error:
            raise DataError(self.path, error.strerror or error) from None


def _transcoded(
    samples: Sequence[list[_Member]], work: Work, report: Report, shard: str
) -> Iterator[list[_Member]]:
    """The samples with their images encoded, without those of which an image fails."""
    suffixes = image_suffixes()
    images = [m for sample in samples for m in sample if m.suffix.lower() in suffixes]
    done = work.encode(_read(member, shard) for member in images)
    results: dict[str, Encoded | Failed] = {}
    for member, result in zip(images, done, strict=True):
        report.note(result, len(member.content))
        results[member.name] = result
    for sample in samples:
        found = [results.get(member.name) for member in sample]
        if any(isinstance(result, Failed) for result in found):
            continue
        yield [
            _encoded(member, result, work) if isinstance(result, Encoded) else member
            for member, result in zip(sample, found, strict=True)
        ]


def _read(member: _Member, shard: str) -> Read | Failed:
    name = f"{shard}/{member.name}"
    try:
        return Read(name, read_image(member.content, name))
    except CodecframeError as error:
        return Failed(name, error)


def _encoded(member: _Member, result: Encoded, work: Work) -> _Member:
    name = member.name.removesuffix(member.suffix) + work.suffix
    return _Member(name, member.time, work.content(result))


def _write(shard: tarfile.TarFile, member: _Member) -> None:
    entry = tarfile.TarInfo(member.name)
    entry.size, entry.mtime = len(member.content), member.time
    with reported(member.name):
        shard.addfile(entry, io.BytesIO(member.content))
