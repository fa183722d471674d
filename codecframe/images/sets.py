"""Image sets: sequences of images that are read when they are asked for."""

from __future__ import annotations

import csv
import glob
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, overload

from codecframe.errors import DataError
from codecframe.image import Image
from codecframe.images import cifar
from codecframe.images.read import read_image


@dataclass(frozen=True)
class ImageItem:
    """One image of a set.

    Attributes:
        name: its path relative to the set, with forward slashes.
        target: its label as text or class index; None where there are no labels.
        load: reads it.
    """

    name: str
    target: Any
    load: Callable[[], Image]

    def read(self) -> Image:
        """The image.

        Raises:
            DataError: if it cannot be read.
            LimitError: if it is larger than the pixel limit.
        """
        return self.load()


class ImageSet(Sequence[ImageItem]):
    """Images by path; a path and a label are all that it keeps of each."""

    def __init__(self, paths: list[str], names: list[str], targets: list[Any] | None) -> None:
        self._paths = paths
        self._names = names
        self._targets = targets

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> ImageItem: ...
    @overload
    def __getitem__(self, index: slice) -> ImageSet: ...
    def __getitem__(self, index: int | slice) -> ImageItem | ImageSet:
        if isinstance(index, slice):
            targets = self._targets[index] if self._targets is not None else None
            return ImageSet(self._paths[index], self._names[index], targets)
        path = self._paths[index]
        target = self._targets[index] if self._targets is not None else None
        return ImageItem(self._names[index], target, lambda: read_image(path))


def open_images(
    specs: Sequence[str | Path],
    *,
    labels: str | Path | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
) -> Sequence[ImageItem]:
    """Open image files, folders, globs, stdin (`-`) or `cifar10:test` as one set.

    Args:
        specs: what to open; folders are searched through, in alphabetical order.
        labels: a CSV file with columns `file` and `label` (files relative to it), or `folders`
            where the name of an image's folder is its label.
        where: only rows of the labels file whose columns have these values.
        limit: at most so many images.
        data_root: folder with the data sets `cifar10` and `cifar100`; `CODECFRAME_DATA` by default.

    Raises:
        DataError: if something does not exist, or no image is found.
    """
    if len(specs) == 1 and (found := cifar.parse(str(specs[0]))):
        return cifar.CifarSet.open(*found, root=data_root, limit=limit)
    if list(map(str, specs)) == ["-"]:
        data = sys.stdin.buffer.read()
        return [ImageItem("stdin", None, lambda: read_image(data, "stdin"))]
    found_paths, names = _find([str(spec) for spec in specs])
    targets: list[Any] | None = None
    if labels is not None and str(labels) == "folders":
        targets = [Path(path).parent.name for path in found_paths]
    elif labels is not None:
        truth = _read_labels(Path(labels), where or {})
        kept = [i for i, path in enumerate(found_paths) if _key(path) in truth]
        found_paths, names = [found_paths[i] for i in kept], [names[i] for i in kept]
        targets = [truth[_key(path)] for path in found_paths]
    if not found_paths:
        which = " with a label" if labels else ""
        raise DataError(", ".join(map(str, specs)), f"no image{which} found")
    images = ImageSet(found_paths, names, targets)
    return images if limit is None else images[:limit]


def _key(path: str) -> str:
    return os.path.abspath(path)


def _find(specs: list[str]) -> tuple[list[str], list[str]]:
    """Paths and names of all images that the specs mean."""
    paths: list[str] = []
    names: list[str] = []
    for spec in specs:
        if os.path.isdir(spec):
            for path in _walk(spec):
                paths.append(path)
                names.append(Path(os.path.relpath(path, spec)).as_posix())
            continue
        matches = [spec] if os.path.exists(spec) else sorted(glob.glob(spec, recursive=True))
        if not matches:
            raise DataError(spec, "no such file or folder")
        for match in matches:
            paths.append(match)
            names.append(Path(match).name)
    return paths, names


def _walk(folder: str) -> Iterator[str]:
    """All image files below a folder, by suffix, in alphabetical order."""
    suffixes = image_suffixes()
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        elif os.path.splitext(entry.name)[1].lower() in suffixes:
            yield entry.path


@cache
def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes of the files in a folder that count as images."""
    from PIL import Image as PilImage

    PilImage.init()
    readable = {s for s, kind in PilImage.registered_extensions().items() if kind in PilImage.OPEN}
    return frozenset(readable - {".pdf", ".mpg", ".mpeg", ".h5", ".hdf", ".eps", ".ps"} | {".jxl"})


def _read_labels(path: Path, where: Mapping[str, str]) -> dict[str, str]:
    """Label by absolute image path."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or ())
            missing = {"file", "label", *where} - columns
            if missing:
                raise DataError(str(path), f"has no column {', '.join(sorted(missing))}")
            return {
                _key(str(path.parent / row["file"])): row["label"].strip()
                for row in reader
                if all(row[column] == value for column, value in where.items())
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(str(path), error) from None
