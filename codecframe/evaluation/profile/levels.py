"""Levels at which a whole set of images meets mean rates: guessed on a sample, corrected on all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from codecframe.core.codec import Codec
from codecframe.core.errors import DataError
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.core.settings import Settings
from codecframe.evaluation.profile.measure import spans
from codecframe.evaluation.profile.table import Point
from codecframe.images import ImageItem, ImageSet
from codecframe.pipeline.convert import Read, read_set
from codecframe.rate import Accounting, MeanSearch, SetSize, set_size

_SAMPLE = 64
"""Images, spread over the set, on which levels are guessed."""
_HELD_PIXELS = 16_000_000
"""A sample is kept in memory up to this size, and read anew in every pass beyond it."""

Remembered = Callable[[str, Callable[[], Any]], Any]
"""Given all that a search depends on, and the search, gives the plain data that it finds, or that
it found earlier."""


def anew(_key: str, search: Callable[[], Any]) -> Any:
    """Remembers nothing."""
    return search()


@dataclass
class Prepared:
    """Images of a set, read and prepared anew in every pass; unreadable ones are left out."""

    items: Sequence[ImageItem]
    head: TaskHead | None

    def __iter__(self) -> Iterator[Image]:
        read = read_set(self.items, self.head)
        return (one.image for one in read if isinstance(one, Read))


class Held(Prepared):
    """As `Prepared`, but kept in memory after the first pass where that is little."""

    _held: list[Image] | None = None

    def __iter__(self) -> Iterator[Image]:
        if self._held is not None:
            yield from self._held
            return
        kept: list[Image] = []
        pixels = 0
        for image in super().__iter__():
            pixels += image.shape[0] * image.shape[1]
            if pixels <= _HELD_PIXELS:
                kept.append(image)
            yield image
        if pixels <= _HELD_PIXELS:
            self._held = kept


class LevelSearch:
    """Searches levels of codecs over one set of images, in constant memory.

    The set's size at a level is remembered span by span, so that a search that was stopped goes on.

    Args:
        items: the images.
        head: brings images to the geometry that it looks at; None leaves them as they are.
        accounting: which bytes count.
        remembered: what was found earlier, as `ProfileTable.remembered` gives it.
        tell: called with a note before every span that is encoded.
    """

    def __init__(
        self,
        items: Sequence[ImageItem],
        head: TaskHead | None,
        accounting: Accounting,
        remembered: Remembered = anew,
        tell: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._names = names_of(items)
        self._accounting = accounting
        self._remembered = remembered
        self._tell = tell
        parts = [items[span.start : span.stop] for span in spans(len(items))]
        some = sample(items)
        self._sample = Held(some, head) if len(some) < len(items) else None
        hold = Held if self._sample is None else Prepared
        self._parts = [(names_of(part), hold(part, head)) for part in parts]

    def points(
        self,
        codec: Codec[Any],
        settings: Settings,
        wanted: object,
        find: Callable[[MeanSearch], list[Point]],
    ) -> list[Point]:
        """The points of a codec for what is wanted, rates or a budget, as plain data.

        `find` makes them from the search over all images, where they were not found earlier.

        Raises:
            DataError: if the search looks at images, and none of them can be read.
        """

        def search() -> list[dict[str, Any]]:
            return [asdict(point) for point in find(self._over(codec, settings))]

        key = self._key(codec, settings, wanted=wanted, images=self._names)
        found = self._remembered(key, search)
        return [Point(**values) for values in found]

    def _over(self, codec: Codec[Any], settings: Settings) -> MeanSearch:
        """The search for one codec with everything but its knob decided."""

        def size_of(chosen: Settings) -> SetSize:
            total = SetSize()
            for names, images in self._parts:
                total += self._size_of_part(codec, chosen, names, images)
            if not total.images:
                raise DataError("images", "none of them can be read")
            return total

        guide = None
        if self._sample is not None and any(True for _ in self._sample):
            guide = MeanSearch(codec, settings, self._sample, self._accounting)
        return MeanSearch(codec, settings, (), self._accounting, guide=guide, size_of=size_of)

    def _size_of_part(
        self, codec: Codec[Any], settings: Settings, names: str, images: Prepared
    ) -> SetSize:
        def size() -> dict[str, int]:
            self._tell(f"levels of {codec.name}: {settings}")
            return asdict(set_size(codec, images, self._accounting, settings))

        key = self._key(codec, settings, **{"size of": names})
        return SetSize(**self._remembered(key, size))

    def _key(self, codec: Codec[Any], settings: Settings, **what: object) -> str:
        """All that a search depends on."""
        about = {"codec": codec.name, "settings": settings.to_dict()}
        return json.dumps(what | about | {"accounting": str(self._accounting)}, sort_keys=True)


def names_of(items: Sequence[ImageItem]) -> str:
    """A digest of the images' names."""
    names = "\0".join(item.name for item in items)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()


def sample(items: Sequence[ImageItem], count: int = _SAMPLE) -> list[ImageItem]:
    """At most `count` items spread evenly over the set."""
    return list(ImageSet([items]).spread(count))
