"""The images that tune and those that decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codecframe.core.errors import DataError, MismatchError
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.core.split import halves, leak_warning
from codecframe.images import ImageItem

_LEAST = 16
"""Images that a tuning takes at least."""


@dataclass(frozen=True)
class Half:
    """Images as the head looks at them, and their targets, or None."""

    images: list[Image]
    targets: list[Any] | None


@dataclass(frozen=True)
class Halves:
    """Images that tune, images that decide, and what makes the latter doubtful, if anything."""

    tuning: Half
    held: Half
    warning: str | None


def split_images(
    head: TaskHead,
    items: Sequence[ImageItem],
    groups: Sequence[str] | None,
    held_out: Sequence[ImageItem] | None,
) -> Halves:
    """Read images, and split them in two.

    Args:
        head: says how it wants them.
        items: the images.
        groups: of each, where some belong together.
        held_out: those that decide; None takes every other one, or of groups about half.

    Raises:
        DataError: if there are too few, or one cannot be read.
        MismatchError: if some have labels and some do not, or all are in one group.
    """
    everything = [*items, *(held_out or ())]
    if len(everything) < _LEAST or not items:
        raise DataError("images", f"tuning takes {_LEAST} or more, not {len(everything)}")
    if held_out is None:
        first, second = halves(len(items), groups)
    else:
        first, second = list(range(len(items))), list(range(len(items), len(everything)))
    images, targets = read_images(head, everything)

    def half(places: list[int]) -> Half:
        chosen = None if targets is None else [targets[place] for place in places]
        return Half([images[place] for place in places], chosen)

    warning = None
    if held_out is None:
        warning = leak_warning(images.__getitem__, len(images), second)
    return Halves(half(first), half(second), warning)


def read_images(head: TaskHead, items: Sequence[ImageItem]) -> tuple[list[Image], list[Any] | None]:
    """(images as a head wants them, their targets, or None where they have no labels).

    Raises:
        DataError: if one cannot be read.
        MismatchError: if some have labels and some do not, or one is not the head's.
    """
    if len({item.target is not None for item in items}) > 1:
        raise MismatchError("some of the images have labels and some have none")
    images, targets = [], []
    for item in items:
        image = item.read()
        images.append(head.prepare(image))
        if item.target is not None:
            targets.append(head.truth(item.target, image.shape[:2], images[-1].shape[:2]))
    return images, targets or None
