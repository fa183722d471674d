"""Image sets with labels from wherever a program has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from codecframe.core.classification import CLASSIFICATION
from codecframe.core.errors import MismatchError, shown
from codecframe.core.task import Task
from codecframe.images.items import ImageSet, Target
from codecframe.images.sets import open_images


def open_labelled(
    images: Any,
    labels: str | Path | Sequence[Any] | None = None,
    *,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
    task: Task = CLASSIFICATION,
) -> ImageSet:
    """Open images as `open_images` does; their labels may also be given one by one.

    Args:
        labels: a labels file, `folders`, or a label for each image: class indices or names; what
            else the task takes as truth.
        images, where, limit, data_root, task: as `open_images` takes them.

    Raises:
        MismatchError: if there is not one label for each image.
    """
    if labels is None or isinstance(labels, (str, Path)):
        return open_images(
            images, labels=labels, where=where, limit=limit, data_root=data_root, task=task
        )
    items = open_images(images, where=where, data_root=data_root)
    if len(items) != len(labels):
        raise MismatchError(f"there are {len(items)} images and {len(labels)} labels")
    labelled = [
        replace(item, target=_target(label) if task is CLASSIFICATION else label)
        for item, label in zip(items, labels, strict=True)
    ]
    made = ImageSet([labelled])
    return made if limit is None else made.spread(limit)


def _target(label: object) -> Target:
    """A label as sets hold it."""
    if isinstance(label, str):
        return label
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool) and label >= 0:
        return int(label)
    raise MismatchError(f"a label is a class index or a name, not {shown(label)}")
