"""Image sets: sequences of images that are read when they are asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast, overload

from codecframe.core.classification import CLASSIFICATION
from codecframe.core.errors import DataError, UnknownNameError
from codecframe.core.task import Task
from codecframe.images import cifar
from codecframe.images.files import find_files, read_labels
from codecframe.images.items import ImageItem, ImageSet, Target
from codecframe.images.read import ImageSource, read_image
from codecframe.images.source import read_bounded
from codecframe.tasks.known import get_task

_MOST_DIGITS = 9
"""Of a class index."""


class FileSet(Sequence[ImageItem]):
    """Image files; a path and a label are all that is kept of each.

    Args:
        folder: the folder that the paths are relative to.
        names: paths with forward slashes.
        targets: their labels, or None.
        remarks: rows of the labels file that match no image.
    """

    def __init__(
        self,
        folder: str,
        names: list[str],
        targets: list[Any] | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        self.remarks = tuple(remarks)
        self._folder = folder
        self._names = names
        self._targets = targets

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> ImageItem: ...
    @overload
    def __getitem__(self, index: slice) -> FileSet: ...
    def __getitem__(self, index: int | slice) -> ImageItem | FileSet:
        if isinstance(index, slice):
            targets = None if self._targets is None else self._targets[index]
            return FileSet(self._folder, self._names[index], targets, self.remarks)
        path = os.path.join(self._folder, self._names[index])
        target = None if self._targets is None else self._targets[index]
        return ImageItem(self._names[index], target, lambda: read_image(path), path)


ImageSpec: TypeAlias = "ImageSource | ImageItem"
ImageSpecs: TypeAlias = "ImageSpec | Iterable[ImageSpec]"
"""What `open_images` opens."""


def open_images(
    specs: ImageSpecs,
    *,
    labels: str | Path | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
    task: Task | str = CLASSIFICATION,
) -> ImageSet:
    """Open image files, folders, globs, stdin (`-`) and data sets (`cifar10:test`) as one set.

    Only names and labels are read. An image that cannot be read raises when it is read.

    Args:
        specs: what to open, one or several: paths, globs and data sets as texts; images in memory,
            as `read_image` takes them; items of another set. Folders are searched through, in
            alphabetical order.
        labels: a CSV file with columns `file` and `label` (files relative to it), or `folders`
            where the name of the folder that an image lies in is its label. Images that the CSV
            file does not name are left out. Labels of digits become class indices.
        where: only rows of the labels file whose columns have these values.
        limit: at most so many images, evenly spread over the set.
        data_root: folder with the data sets `cifar10` and `cifar100`; `CODECFRAME_DATA` by default.
        task: what the images are labelled for, or its name: it says what `labels` may be, such as
            COCO's JSON for `detection`; see `Task.read_truth`.

    Raises:
        DataError: if something does not exist, or no image is found.
        UnknownNameError: for a part of a data set, or a task, that does not exist.

    Examples:
        >>> for item in cf.open_images("photos", labels="folders"):
        ...     print(item.name, item.target, item.read().shape)
        cat/1.png cat (48, 64, 3)
        cat/2.png cat (48, 64, 3)
        dog/1.png dog (48, 64, 3)
    """
    if isinstance(specs, ImageSet) and labels is None and not where:
        return specs if limit is None else specs.spread(limit)
    listed = _listed(specs)
    texts = [str(spec) for spec in listed if isinstance(spec, (str, Path))]
    parts: list[Sequence[ImageItem]] = []
    if held := [spec for spec in listed if not isinstance(spec, (str, Path))]:
        parts.append(_in_memory(held))
    files = []
    for text in texts:
        if text == "-":
            parts.append([_from_stdin()])
        elif text.partition(":")[0] in cifar.KINDS and not os.path.exists(text):
            parts.append(_open_cifar(text, data_root))
        else:
            files.append(text)
    if files:
        reads = get_task(task) if isinstance(task, str) else task
        source = None if labels is None else str(labels)
        parts.append(_open_files(files, source, where or {}, reads))
    elif labels is not None:
        raise DataError(str(labels), "labels image files, and there are none")
    made = ImageSet(parts)
    if not made:
        raise DataError(", ".join(texts) or "images", "no image found")
    return made if limit is None else made.spread(limit)


def _listed(specs: ImageSpecs) -> list[ImageSpec]:
    """What is to be opened, one after the other; a stack of images is several."""
    one = isinstance(specs, (str, Path, bytes, bytearray, memoryview)) or hasattr(specs, "read")
    if one or not isinstance(specs, Iterable) or getattr(specs, "ndim", 4) < 4:
        return [cast("ImageSpec", specs)]
    return list(cast("Iterable[ImageSpec]", specs))


def _in_memory(specs: Sequence[ImageSpec]) -> list[ImageItem]:
    """Images that are not files: items as they are, others under a number."""

    def item(number: int, spec: ImageSpec) -> ImageItem:
        if isinstance(spec, ImageItem) or hasattr(spec, "target"):
            return cast("ImageItem", spec)
        name = "image" if len(specs) == 1 else f"image-{number}"
        return ImageItem(name, None, lambda: read_image(spec, name))

    return [item(number, spec) for number, spec in enumerate(specs, start=1)]


def _open_cifar(spec: str, root: str | Path | None) -> cifar.CifarSet:
    known = [f"{name}:{part}" for name, kind in cifar.KINDS.items() for part in kind.files]
    if spec not in known:
        raise UnknownNameError("image set", spec, known)
    name, _, part = spec.partition(":")
    return cifar.CifarSet.open(name, part, root=root)


def _from_stdin() -> ImageItem:
    data = read_bounded(sys.stdin.buffer, "stdin")
    return ImageItem("stdin", None, lambda: read_image(data, "stdin"))


def _open_files(
    specs: Sequence[str], labels: str | None, where: Mapping[str, str], task: Task
) -> FileSet:
    """Image files with what is known of them."""
    if where and labels in (None, "folders"):
        raise DataError(", ".join(where), "only the rows of a labels file can be chosen from")
    folder, names = find_files(specs)
    if labels is None:
        return FileSet(folder, names)
    paths = [os.path.abspath(os.path.join(folder, name)) for name in names]
    known = task.read_truth(labels, where, paths)
    if known is not None:
        kept = [i for i, truth in enumerate(known) if truth is not None]
        if not kept:
            raise DataError(labels, f"does not name any of the {len(names)} images")
        return FileSet(folder, [names[i] for i in kept], [known[i] for i in kept])
    if labels == "folders":
        texts = [os.path.basename(os.path.dirname(path)) for path in paths]
        return FileSet(folder, names, _targets(texts))
    truth = read_labels(labels, where)
    kept = [i for i, path in enumerate(paths) if path in truth]
    if not kept:
        raise DataError(
            labels,
            f"does not name any of the {len(names)} images"
            + (f"; its first file is {next(iter(truth))}" if truth else " in any row"),
        )
    targets = _targets([truth[paths[i]] for i in kept])
    return FileSet(folder, [names[i] for i in kept], targets, _unmatched(labels, truth, paths))


def _unmatched(labels: str, truth: Mapping[str, str], paths: Sequence[str]) -> list[str]:
    """A remark on the rows of a labels file whose image does not exist."""
    absent = [path for path in truth.keys() - set(paths) if not os.path.exists(path)]
    if not absent:
        return []
    first = os.path.relpath(min(absent), os.path.dirname(os.path.abspath(labels)))
    verb = "names" if len(absent) == 1 else "name"
    return [f"{labels}: {len(absent)} of {len(truth)} rows {verb} no image, such as {first}"]


def _targets(labels: list[str]) -> list[Target]:
    """Labels as they are kept: each text once, digits as class indices, if not too many for one."""
    targets: dict[str, Target] = {
        label: int(label) if label.isdecimal() and len(label) <= _MOST_DIGITS else label
        for label in set(labels)
    }
    return [targets[label] for label in labels]
