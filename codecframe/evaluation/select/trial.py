"""Looking for levels that keep enough, on some images that are then not used for any claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError, CodecframeError, DataError
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.evaluation.profile import Variant, reference_of
from codecframe.images import ImageItem
from codecframe.pipeline import decode_for
from codecframe.rate import Accounting, Budget, Keep, MeanSearch, Outcomes, counted_size

_GUIDE = 16
"""Images whose bytes say which level costs how much."""
_PIXELS = 100_000_000
"""Images are kept in memory up to this size."""
_STEP = 0.8
"""Levels are tried at bytes that fall by this factor."""


class TrialImages:
    """Some images, in memory, with what a head says of them uncompressed.

    Args:
        items: the images; those that cannot be read are left out.
        head: judges what is decoded.
        prepare: bring images to the geometry the head looks at.

    Raises:
        DataError: if none can be read.
    """

    def __init__(self, items: Sequence[ImageItem], head: TaskHead, *, prepare: bool) -> None:
        self.head = head
        self.images: list[Image] = []
        targets: list[Any] = []
        pixels = 0
        for item in items:
            if pixels > _PIXELS:
                break
            try:
                image = item.read()
                image = head.prepare(image) if prepare else image
            except CodecframeError:
                continue
            self.images.append(image)
            targets.append(item.target)
            pixels += image.shape[0] * image.shape[1]
        if not self.images:
            raise DataError("images", "none of them can be read")
        is_labelled = all(target is not None for target in targets)
        self._targets = [_target(head, target) for target in targets] if is_labelled else None
        self._reference = reference_of(head)

    @cached_property
    def _uncompressed(self) -> Any:
        return self._reference.predict(self.images) if self._reference else None

    def outcomes(self, codec: Codec[Any], datas: Sequence[bytes]) -> Outcomes:
        """What the head makes of the images' encodings."""
        prediction = self.head.predict(decode_for(codec, self.head, datas))
        agreement = score = before = None
        if self._uncompressed is not None:
            agreement = self.head.score(prediction, self.head.pseudo_targets(self._uncompressed))
        if self._targets is not None:
            score = self.head.score(prediction, self._targets)
            if self._reference is not None:
                before = self._reference.score(self._uncompressed, self._targets)
        return Outcomes(agreement, score, before)


def _target(head: TaskHead, target: Any) -> Any:
    return head.target_of(target) if isinstance(target, str) else target


@dataclass(frozen=True)
class Seen:
    """What a variant cost and kept at a level, on the trial images.

    Attributes:
        level: of the knob.
        bytes: counted bytes an image.
        kept: a share or score.
        enough: whether the images that decide would likely show that it is enough.
    """

    level: int
    bytes: float
    kept: float
    enough: bool


class Trial:
    """The search for the fewest bytes of one codec variant.

    Args:
        variant: the codec and its settings, less the knob.
        images: to try it on.
        keep: what must stay right.
        accounting: which bytes count.
        deciding: how many images will decide.
        error: the chance of a wrong claim that they allow.
    """

    def __init__(
        self,
        variant: Variant,
        images: TrialImages,
        keep: Keep,
        accounting: Accounting,
        deciding: int,
        error: float,
    ) -> None:
        self.variant = variant
        self._images = images
        self._keep = keep
        self._accounting = accounting
        self._deciding = deciding
        self._error = error
        guide = images.images[:: max(1, len(images.images) // _GUIDE)]
        self._costs = MeanSearch(variant.codec, variant.settings, guide, accounting)
        self._top = variant.settings.knob_levels() - 1
        self.seen: dict[int, Seen] = {}

    def level_for(self, size: float) -> int:
        """The highest level that costs about so many bytes an image; the lowest if none does."""
        ratio = 1.0
        if self.seen:  # the guide's images may cost more or less than all
            level = min(self.seen, key=lambda n: abs(self.seen[n].bytes - size))
            ratio = self._guide_bytes(level) / self.seen[level].bytes
        try:
            return self._costs.fit(Budget(max(size * ratio, 1.0), "bytes", "mean")).level
        except BudgetError:
            return 0

    @property
    def pixels(self) -> float:
        """Of an image, on average."""
        return float(np.mean([image.shape[0] * image.shape[1] for image in self._images.images]))

    def look(self, level: int) -> Seen:
        """What the variant costs and keeps at a level."""
        if level not in self.seen:
            codec, settings = self.variant.codec, self.variant.settings.at_level(level)
            datas = codec.encode_many(self._images.images, settings)
            sizes = [
                counted_size(codec, data, settings, self._accounting, knob_varies=False)
                for data in datas
            ]
            outcomes = self._images.outcomes(codec, datas)
            self.seen[level] = Seen(
                level, float(np.mean(sizes)), self._keep.kept(outcomes), self._is_enough(outcomes)
            )
        return self.seen[level]

    def best(self, most: float | None = None) -> Seen | None:
        """The level of the fewest bytes that keeps enough; None where there is none.

        Args:
            most: bytes an image beyond which it does not matter.
        """
        start = self.look(self._top // 2 if most is None else self.level_for(most))
        while most is None and not start.enough and start.level < self._top:
            higher = self.level_for(start.bytes * 1.5)
            start = self.look(min(max(higher, start.level + 1), self._top))
        found = start if start.enough else None
        while found is not None and found.level > 0:
            lower = self.level_for(found.bytes * _STEP)
            next_one = self.look(min(lower, found.level - 1))
            if not next_one.enough:
                break
            found = next_one
        return found

    def _guide_bytes(self, level: int) -> float:
        size = self._costs.size(level)
        return size.bytes / size.images

    def _is_enough(self, outcomes: Outcomes) -> bool:
        """Whether as many images as decide, were they like these, would show it."""
        index = np.arange(self._deciding) % len(self._images.images)
        return self._keep.p_value(outcomes[index]) <= self._error
