"""Looking for levels that keep enough, on some images that are then not used for any claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError, CodecframeError, DataError
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.core.parallel import chunks
from codecframe.evaluation.profile.measure import reference_of
from codecframe.evaluation.profile.table import Point
from codecframe.evaluation.profile.variants import Variant
from codecframe.images import ImageItem
from codecframe.pipeline import decode_for
from codecframe.rate import Accounting, Budget, Keep, MeanSearch, Outcomes, counted_size

TRIAL_SHARE = 4
"""One image of so many is for trial."""
_MOST_TRIAL = 256
_GUIDE = 16
"""Images whose bytes say which level costs how much."""
_PIXELS = 100_000_000
"""Images are kept in memory up to this size."""
_STEPS = (0.8, 0.9)
"""Levels are tried at bytes that fall by the first factor, and once by the second."""
_AROUND = (2.5, 1.6, 1.25, 1.1, 1.0, 0.9)
"""They are tested at these multiples of the bytes that did in the trial."""
_LOOKED_AT = 24
"""Images after which it is asked whether the rest could still change the answer."""


def trial_step(count: int) -> int:
    """Of so many images, which ones are for trial: those at multiples of this."""
    return max(TRIAL_SHARE, math.ceil(count / _MOST_TRIAL))


def split_trial(
    items: Sequence[ImageItem], keep: Keep, error: float, fit: int = 0
) -> tuple[list[ImageItem], list[ImageItem]]:
    """Images for trial, evenly spread over the set, and those that decide.

    Args:
        items: the images.
        keep: what must stay right.
        error: the chance of a wrong claim that is allowed.
        fit: one in so many of those that decide says something else first; 0 for none.

    Raises:
        BudgetError: if those that decide are too few; says how many are needed.
    """
    step = trial_step(len(items))
    trying = list(items[::step])
    deciding = [item for i, item in enumerate(items) if i % step]
    needed = keep.images_needed(error)
    needed = math.ceil(needed * fit / (fit - 1)) if fit else needed
    if needed > len(deciding):
        total = math.ceil(needed * TRIAL_SHARE / (TRIAL_SHARE - 1)) + 1
        raise BudgetError(
            f"{len(items)} images are too few to be {100 * keep.confidence:g} % sure of "
            f"{keep.text}: at least {total} are needed"
        )
    return trying, deciding


class TrialImages:
    """Some images, in memory, with what a head says of them uncompressed.

    Args:
        head: judges what is decoded.
        images: as the head looks at them.
        targets: their truth as the head's task has it; None without labels.
    """

    def __init__(
        self, head: TaskHead, images: Sequence[Image], targets: Sequence[Any] | None
    ) -> None:
        self.head = head
        self.images = list(images)
        self._targets = targets
        self._reference = reference_of(head)

    @classmethod
    def read(cls, items: Sequence[ImageItem], head: TaskHead, *, prepare: bool) -> TrialImages:
        """Those that can be read, as far as memory is meant for them.

        Args:
            items: the images.
            head: judges what is decoded.
            prepare: bring images to the geometry the head looks at.

        Raises:
            DataError: if none can be read.
        """
        images: list[Image] = []
        targets: list[Any] = []
        pixels = 0
        for item in items:
            if pixels > _PIXELS:
                break
            try:
                original = item.read()
                image = head.prepare(original) if prepare else original
            except CodecframeError:
                continue
            images.append(image)
            if item.target is not None:
                targets.append(head.truth(item.target, original.shape[:2], image.shape[:2]))
            pixels += image.shape[0] * image.shape[1]
        if not images:
            raise DataError("images", "none of them can be read")
        return cls(head, images, targets if len(targets) == len(images) else None)

    @cached_property
    def _uncompressed(self) -> Any:
        return self._reference.predict(self.images) if self._reference else None

    @cached_property
    def _pseudo_targets(self) -> Any:
        return self.head.pseudo_targets(self._uncompressed)

    def outcomes(self, codec: Codec[Any], datas: Sequence[bytes], first: int = 0) -> Outcomes:
        """What the head makes of encodings of the images from `first` on."""
        prediction = self.head.predict(decode_for(codec, self.head, datas))
        part = slice(first, first + len(datas))
        agreement = score = before = None
        if self._uncompressed is not None:
            agreement = self.head.score(prediction, self._pseudo_targets[part])
        if self._targets is not None:
            score = self.head.score(prediction, self._targets[part])
            if self._reference is not None:
                before = self._scores_before[part]
        return Outcomes(agreement, score, before)

    @cached_property
    def _scores_before(self) -> Any:
        assert self._reference is not None and self._targets is not None  # noqa: S101
        return self._reference.score(self._uncompressed, self._targets)


@dataclass(frozen=True)
class Seen:
    """What a variant cost and kept at a level, on the trial images.

    Attributes:
        level: of the knob.
        bytes: counted bytes an image.
        kept: a share or score.
        enough: whether the images that decide would likely show that it is enough.
        images: how many were looked at.
    """

    level: int
    bytes: float
    kept: float
    enough: bool
    images: int


@dataclass
class Trial:
    """The search for the fewest bytes of one codec variant.

    Attributes:
        variant: the codec and its settings, less the knob.
        images: to try it on.
        keep: what must stay right.
        accounting: which bytes count.
        deciding: how many images will decide.
        error: the chance of a wrong claim that they allow.
        seen: what was looked at, by level.
    """

    variant: Variant
    images: TrialImages
    keep: Keep
    accounting: Accounting
    deciding: int
    error: float
    seen: dict[int, Seen] = field(default_factory=dict)

    @cached_property
    def _costs(self) -> MeanSearch:
        images = self.images.images
        guide = images[:: max(1, len(images) // _GUIDE)]
        return MeanSearch(self.variant.codec, self.variant.settings, guide, self.accounting)

    def level_for(self, size: float) -> int:
        """The highest level that costs about so many bytes an image; the lowest if none does."""
        ratio = 1.0
        if self.seen:  # the guide's images may cost more or less than all
            level = min(self.seen, key=lambda n: abs(self.seen[n].bytes - size))
            guide = self._costs.size(level)
            ratio = guide.bytes / guide.images / self.seen[level].bytes
        return self._costs.closest(Budget(max(size * ratio, 1.0), "bytes", "mean")).level

    @property
    def pixels(self) -> float:
        """Of an image, on average."""
        return float(np.mean([image.shape[0] * image.shape[1] for image in self.images.images]))

    def look(self, level: int) -> Seen:
        """What the variant costs and keeps at a level; on the first images alone, where these show
        already that it is not enough.
        """
        if level not in self.seen:
            codec, settings = self.variant.codec, self.variant.settings.at_level(level)
            sizes: list[int] = []
            outcomes: Outcomes | None = None
            enough = True
            for some in chunks(self.images.images, _LOOKED_AT):
                datas = codec.encode_many(some, settings)
                found = self.images.outcomes(codec, datas, len(sizes))
                outcomes = found if outcomes is None else outcomes + found
                sizes += [counted_size(codec, data, settings, self.accounting) for data in datas]
                enough = self._is_enough(outcomes.and_kept(len(self.images.images) - len(sizes)))
                if not enough:
                    break
            assert outcomes is not None  # noqa: S101 - there are images
            kept = self.keep.kept(outcomes)
            self.seen[level] = Seen(level, float(np.mean(sizes)), kept, enough, len(sizes))
        return self.seen[level]

    def best(self, most: float | None = None) -> Seen:
        """The level of the fewest bytes that keeps enough; where there is none, the safest one.

        Args:
            most: bytes an image beyond which it does not matter.
        """
        top = self.variant.settings.knob_levels() - 1
        found = self.look(top // 2 if most is None else self.level_for(most))
        while most is None and not found.enough and found.level < top:
            higher = self.level_for(found.bytes * 1.5)
            found = self.look(min(max(higher, found.level + 1), top))
        if not found.enough:
            return max(self.seen.values(), key=lambda seen: seen.kept)
        for step in _STEPS:
            while found.level > 0:
                lower = self.look(min(self.level_for(found.bytes * step), found.level - 1))
                if not lower.enough:
                    break
                found = lower
                if step == _STEPS[-1]:
                    break
        return found

    def points(self, size: float) -> list[Point]:
        """The variant around so many bytes an image, from the highest level down."""
        levels = dict.fromkeys(self.level_for(size * step) for step in _AROUND)
        return [self.variant.at(self.variant.settings.at_level(level)) for level in levels]

    def _is_enough(self, outcomes: Outcomes) -> bool:
        """Whether as many images as decide, were they like these, would show it."""
        index = np.arange(self.deciding) % len(self.images.images)
        return self.keep.p_value(outcomes[index]) <= self.error
