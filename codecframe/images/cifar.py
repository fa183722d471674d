"""CIFAR-10 and CIFAR-100 in their official binary format.

A record is one label byte (CIFAR-100: a coarse and a fine one) and 3072 bytes, the red, green and
blue planes of 32x32 (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009).
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from codecframe.errors import DataError
from codecframe.image import Image
from codecframe.paths import data_root

if TYPE_CHECKING:
    from codecframe.images.sets import ImageItem

_PIXELS = 3072


@dataclass(frozen=True)
class _Kind:
    folder: str
    label_bytes: int
    names: str
    files: dict[str, tuple[str, ...]]
    url: str
    md5: str


KINDS = {
    "cifar10": _Kind(
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
    "cifar100": _Kind(
        "cifar-100-binary",
        2,
        "fine_label_names.txt",
        {"train": ("train.bin",), "test": ("test.bin",)},
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "03b5dce01913d631647c71ecec9e9cb8",
    ),
}


def parse(spec: str) -> tuple[str, str] | None:
    """(`cifar10`, `test`) from `cifar10:test`; None for anything else."""
    match = re.fullmatch(r"(cifar100?):(train|test)", spec)
    return (match[1], match[2]) if match else None


class CifarSet(Sequence["ImageItem"]):
    """One part of CIFAR-10 or CIFAR-100, in the official order, memory-mapped."""

    def __init__(self, records: npt.NDArray[np.uint8], label_bytes: int, part: str) -> None:
        self._records = records
        self._label_bytes = label_bytes
        self._part = part

    @classmethod
    def open(
        cls, name: str, part: str, *, root: str | Path | None = None, limit: int | None = None
    ) -> CifarSet:
        """Open `cifar10` or `cifar100`, part `train` or `test`.

        Raises:
            DataError: if the files are not there or not of the right size.
        """
        kind = KINDS[name]
        folder = find(name, root)
        record = kind.label_bytes + _PIXELS
        parts = []
        for file in kind.files[part]:
            path = folder / file
            try:
                if path.stat().st_size % record:
                    raise DataError(str(path), f"is no multiple of {record} bytes")
                parts.append(np.memmap(path, np.uint8, "r").reshape(-1, record))
            except (OSError, ValueError) as error:
                raise DataError(str(path), error) from None
        records = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return cls(records[:limit], kind.label_bytes, f"{name}:{part}")

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return CifarSet(self._records[index], self._label_bytes, self._part)
        from codecframe.images.sets import ImageItem

        record = self._records[index]
        target = int(record[self._label_bytes - 1])
        return ImageItem(
            f"{self._part}/{index % len(self):05d}", target, lambda: self._image(record)
        )

    def _image(self, record: npt.NDArray[np.uint8]) -> Image:
        planes = np.asarray(record[self._label_bytes :]).reshape(3, 32, 32)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """All images as one array, `uint8`, (n, 32, 32, 3)."""
        planes = np.asarray(self._records[:, self._label_bytes :]).reshape(-1, 3, 32, 32)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """All class indices, `int64`, (n,)."""
        return np.asarray(self._records[:, self._label_bytes - 1], dtype=np.int64)


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
    """The class names that lie beside the data."""
    path = find(name, root) / KINDS[name].names
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise DataError(str(path), error) from None


def download_cifar(
    name: str, folder: str | Path, *, url: str | None = None, md5: str | None = None
) -> Path:
    """Download the official archive, check its md5 and unpack it below `folder`.

    Returns:
        The folder with the binary files.

    Raises:
        DataError: if it cannot be fetched, or is not the official archive.
    """
    kind = KINDS[name]
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    source = url or kind.url
    with tempfile.TemporaryDirectory(dir=target, prefix=".download-") as scratch:
        archive = Path(scratch) / "archive.tar.gz"
        digest = hashlib.md5(usedforsecurity=False)
        try:
            response = urllib.request.urlopen(source, timeout=60)  # noqa: S310
            with response, archive.open("wb") as file:
                while block := response.read(1 << 20):
                    digest.update(block)
                    file.write(block)
        except OSError as error:
            raise DataError(source, error) from None
        if digest.hexdigest() != (md5 or kind.md5):
            raise DataError(source, f"has md5 {digest.hexdigest()}, not {md5 or kind.md5}")
        with tarfile.open(archive) as opened:
            opened.extractall(scratch, filter="data")
        made = target / kind.folder
        if not made.exists():
            os.replace(Path(scratch) / kind.folder, made)
    return made
