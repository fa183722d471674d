"""Sets of images: what each image is known by, and sets one after another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, overload

from codecframe.core.image import Image

Target = int | str
"""A label of a classifier's image: a class index or a text."""


@dataclass(frozen=True)
class ImageItem:
    """One image of a set.

    Attributes:
        name: its path relative to the set, with forward slashes; no other of the set has it.
        target: its label, a class index or a text, or what else is known of it, as the task's
            `read_truth` gives it; None where there are no labels.
        load: reads it.
        path: its file; None where it has none of its own.

    Examples:
        >>> item = cf.open_images("photos")[0]
        >>> item.name, item.read().shape
        ('cat/1.png', (48, 64, 3))
    """

    name: str
    target: Any
    load: Callable[[], Image]
    path: str | None = None

    def read(self) -> Image:
        """The image.

        Raises:
            DataError: if it cannot be read.
            LimitError: if it is larger than the pixel limit.
        """
        return self.load()


class ImageSet(Sequence[ImageItem]):
    """Sets of images one after another, or some of their images.

    Examples:
        >>> photos = cf.open_images("photos")
        >>> len(photos), photos[0].name
        (3, 'cat/1.png')
        >>> len(photos.spread(2))
        2
    """

    def __init__(
        self, parts: Sequence[Sequence[ImageItem]], chosen: Sequence[int] | None = None
    ) -> None:
        self._parts = parts
        self._ends = list(accumulate(len(part) for part in parts))
        self._chosen = range(self._ends[-1] if parts else 0) if chosen is None else chosen

    @property
    def remarks(self) -> list[str]:
        """Rows of the labels file that match no image."""
        return [remark for part in self._parts for remark in getattr(part, "remarks", ())]

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> ImageItem: ...
    @overload
    def __getitem__(self, index: slice) -> ImageSet: ...
    def __getitem__(self, index: int | slice) -> ImageItem | ImageSet:
        if isinstance(index, slice):
            return ImageSet(self._parts, self._chosen[index])
        position = self._chosen[index]
        part = bisect_right(self._ends, position)
        return self._parts[part][position - self._ends[part]]

    def spread(self, count: int) -> ImageSet:
        """At most `count` of the images, evenly spread: sets are often sorted by class."""
        n = len(self)
        if n <= count:
            return self
        return ImageSet(self._parts, [self._chosen[i * n // count] for i in range(count)])
