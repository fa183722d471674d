"""CIFAR-10 and CIFAR-100 in their official binary format.

A record is one label byte (CIFAR-100: a coarse and a fine one) and 3072 bytes, the red, green and
blue planes of 32x32 (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import DataError, as_data_error
from codecframe.core.files import data_root
from codecframe.core.image import Image
from codecframe.images.items import ImageItem

_PIXELS = 3072


@dataclass(frozen=True)
class Kind:
    """Where a data set's files lie and what is in them.

    Attributes:
        folder: name of the folder with the files.
        label_bytes: label bytes at the start of a record; the last one is the class.
        names: file with the class names.
        files: files of each part.
        url, md5: of the official archive.
    """

    folder: str
    label_bytes: int
    names: str
    files: dict[str, tuple[str, ...]]
    url: str
    md5: str


KINDS = {
    "cifar10": Kind(
        "cifar-10-batches-bin",
        1,
        "batches.meta.txt",
        {
            "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
            "test": ("test_batch.bin",),
        },
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "c32a1d4ab5d03f1284b67883e8d87530",
    ),
    "cifar100": Kind(
        "cifar-100-binary",
        2,
        "fine_label_names.txt",
        {"train": ("train.bin",), "test": ("test.bin",)},
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "03b5dce01913d631647c71ecec9e9cb8",
    ),
}


class CifarSet(Sequence["ImageItem"]):
    """One part of CIFAR-10 or CIFAR-100, in the official order, or some of its images.

    Targets are class indices; of CIFAR-100, those of the 100 fine classes. The files are mapped
    into memory, not read.
    """

    def __init__(
        self, records: Sequence[npt.NDArray[np.uint8]], label_bytes: int, name: str, chosen: range
    ) -> None:
        self._records = records
        self._ends = list(accumulate(len(some) for some in records))
        self._label_bytes = label_bytes
        self._name = name
        self._chosen = chosen

    @classmethod
    def open(
        cls, name: str, part: str, *, root: str | Path | None = None, limit: int | None = None
    ) -> CifarSet:
        """Open `cifar10` or `cifar100`, part `train` or `test`; at most the first `limit` images.

        Raises:
            DataError: if the files are not there or not of the right size.
        """
        kind = KINDS[name]
        folder = find(name, root)
        size = kind.label_bytes + _PIXELS
        records = [_mapped(folder / file, size) for file in kind.files[part]]
        count = sum(len(some) for some in records)
        return cls(records, kind.label_bytes, f"{name}-{part}", range(count)[:limit])

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> ImageItem: ...
    @overload
    def __getitem__(self, index: slice) -> CifarSet: ...
    def __getitem__(self, index: int | slice) -> ImageItem | CifarSet:
        if isinstance(index, slice):
            return CifarSet(self._records, self._label_bytes, self._name, self._chosen[index])
        position = self._chosen[index]
        file = bisect_right(self._ends, position)
        record = self._records[file][position - self._ends[file]]
        target = int(record[self._label_bytes - 1])
        return ImageItem(f"{self._name}/{position:05d}", target, lambda: self._image(record))

    def _image(self, record: npt.NDArray[np.uint8]) -> Image:
        planes = record[self._label_bytes :].reshape(3, 32, 32)
        return np.array(planes.transpose(1, 2, 0), order="C")

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """All images as one array, `uint8`, (n, 32, 32, 3)."""
        planes = self._all()[:, self._label_bytes :].reshape(-1, 3, 32, 32)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """All class indices, `int64`, (n,)."""
        return self._all()[:, self._label_bytes - 1].astype(np.int64)

    def _all(self) -> npt.NDArray[np.uint8]:
        return np.concatenate(self._records)[np.array(self._chosen, dtype=np.intp)]


def find(name: str, root: str | Path | None = None) -> Path:
    """The folder with a set's official files: the root itself, or below it.

    Raises:
        DataError: if it is not there; says how to get it.
    """
    kind = KINDS[name]
    base = Path(root) if root is not None else data_root() or Path()
    for folder in (base / kind.folder, base / name / kind.folder, base / name, base):
        if (folder / kind.files["test"][0]).is_file():
            return folder
    raise DataError(
        name,
        f"{kind.folder} is not below {base}; name its folder with --data-root or "
        f"CODECFRAME_DATA, or fetch it: codecframe.images.download_cifar({name!r}, FOLDER)",
    )


def class_names(name: str, root: str | Path | None = None) -> list[str]:
    """The class names that lie beside the data, in the order of the class indices.

    Raises:
        DataError: if they cannot be read.
    """
    path = find(name, root) / KINDS[name].names
    with as_data_error(path, OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8").split()


def _mapped(path: Path, size: int) -> npt.NDArray[np.uint8]:
    """A file of records of `size` bytes, mapped into memory: (records, size)."""
    with as_data_error(path, OSError):
        length = path.stat().st_size
        if length == 0 or length % size:
            raise DataError(str(path), f"has {length} bytes, which is not a multiple of {size}")
        return np.memmap(path, np.uint8, "r").reshape(-1, size)
