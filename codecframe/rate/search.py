"""Meeting a byte limit for one image by searching the knob."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from codecframe.core.codec import Codec, Fit, SelfFitting
from codecframe.core.errors import BudgetError, MismatchError
from codecframe.core.image import Image
from codecframe.core.layers import LayeredSettings, layered
from codecframe.core.settings import Settings
from codecframe.rate.budget import Accounting, counted_size
from codecframe.rate.curve import RateCurve
from codecframe.rate.ladder import Ladder
from codecframe.rate.levels import level_bytes

TIGHTNESS = 0.96
"""A search ends early once this share of the limit is used; on average it then uses over 97 %."""
_AIM = 0.985
"""The share of the limit that a guess aims at: close under it, with room for the curve's error."""
_SURELY_OVER = 1.03
"""The next level is not tried when the curve expects it this far over the limit."""
_SQUARE = 64
_LARGE = 8 * _SQUARE
"""Shorter side from which an image is large."""


def fit(
    codec: Codec[Any],
    image: Image,
    settings: Settings,
    max_bytes: int,
    accounting: Accounting = Accounting.PAYLOAD,
    *,
    curve: RateCurve | None = None,
    start: int | None = None,
) -> tuple[Fit[Any], dict[int, int]]:
    """Encode one image into at most `max_bytes`, using as many of them as the knob allows.

    A bracketing search on log(bytes): every encode narrows the levels between the largest known
    to fit and the smallest known not to; `curve` says where to look next. It ends when
    `TIGHTNESS` of the limit is used or no better level is expected.

    Args:
        codec: the codec; one that is `SelfFitting` answers by itself.
        image: the image.
        settings: everything but the knob. Where they want a picture layer, the knob is the highest
            level of the task layer, and the picture gets what that leaves.
        max_bytes: the limit, in bytes under `accounting`.
        accounting: which bytes count; the knob byte counts for `PAYLOAD`.
        curve: what is known of the codec; read, not changed. Where that is nothing and the image is
            large, some of its squares are searched first, which costs a fraction of an encode.
        start: level to try first; by default the curve's guess.

    Returns:
        The encoding, and the sizes of the image that were seen by level (for `RateCurve.learn`);
        levels of pictures come after those of the knob, up to the highest.

    Raises:
        BudgetError: if even the smallest encoding is larger; says how large it is.

    Examples:
        >>> codec = cf.get_codec("webp")
        >>> found, sizes = cf.fit(codec, photo, codec.settings(), max_bytes=900)
        >>> found.size <= 900, sizes[found.settings.level] == found.size
        (True, True)
    """
    tries = _Tries(codec, image, settings, accounting)
    ladder = tries.ladder
    if isinstance(codec, SelfFitting):
        found = tries.by_itself(codec, max_bytes)
        if not ladder.has_pictures or found.settings.level < settings.level:
            return found, {found.settings.level: found.size}
    if ladder.has_pictures and start is None:
        start = ladder.knob_rungs - 1  # each picture needs this encoding

    levels = ladder.rungs
    pixels = image.shape[0] * image.shape[1]
    if start is None and (curve is None or not curve.images) and min(image.shape[:2]) >= _LARGE:
        curve = tries.scouted(max_bytes / pixels)
    curve = curve or RateCurve(levels)
    target = max_bytes * _AIM
    low, high = -1, levels
    best: Fit[Any] | None = None
    sizes: dict[int, int] = {}
    guess = curve.first_guess(pixels, target) if start is None else start
    while high - low > 1:
        level = min(max(guess, low + 1), high - 1)
        chosen, data = tries.at(level)
        size = sizes[level] = counted_size(codec, data, settings, accounting, knob_varies=True)
        if size <= max_bytes:
            low = level
            if best is None or size >= best.size:
                best = Fit(data, chosen, size, 0)
            if size >= TIGHTNESS * max_bytes or level + 1 == levels:
                break
            if curve.predict(level, size, level + 1) > max_bytes * _SURELY_OVER:
                break
        else:
            high = level
        if low in sizes and high in sizes:
            guess = curve.between((low, sizes[low]), (high, sizes[high]), target)
        else:
            guess = curve.next_guess(sizes, target)
    if best is None:
        smallest = min(sizes.values())
        raise BudgetError(
            f"{codec.name}: the smallest encoding of this {image.shape[1]}x{image.shape[0]} image "
            f"is {smallest} bytes ({accounting}), over the {max_bytes} allowed",
            asked=max_bytes,
            smallest=smallest,
        )
    return Fit(best.data, best.settings, best.size, len(sizes)), sizes


class _Tries:
    """Encodings of one image; what all pictures behind its task layer share is made once."""

    def __init__(
        self, codec: Codec[Any], image: Image, settings: Settings, accounting: Accounting
    ) -> None:
        self._codec, self._image, self._accounting = codec, image, accounting
        self.ladder = Ladder(settings)

    def at(self, rung: int) -> tuple[Settings, bytes]:
        """(settings, data) at a rung."""
        chosen = self.ladder.at(rung)
        last = self.ladder.knob_rungs - 1
        if rung > last:
            return chosen, self._picture(rung - last - 1)
        if not self.ladder.has_pictures or rung < last:
            return chosen, self._codec.encode(self._image, chosen)
        return chosen, self._last_task

    @cached_property
    def _last_task(self) -> bytes:
        """The data of the task layer that has a picture behind it."""
        rung = self.ladder.knob_rungs - 1
        return self._codec.encode(self._image, self.ladder.at(rung))

    @cached_property
    def _picture(self) -> Callable[[int], bytes]:
        """From a level to data of both layers."""
        found = layered(self._codec)
        if found is None:
            raise MismatchError(f"{self._codec.name} has settings for layers, and no layers")
        return found.picture_encoder(self._image, self._last_task, self.ladder.settings)

    def by_itself(self, codec: SelfFitting[Any], max_bytes: int) -> Fit[Any]:
        """What a codec finds that needs no search; of a codec of layers, the task layer alone."""
        settings = self.ladder.settings
        payload_only = self._accounting is Accounting.PAYLOAD
        overhead = level_bytes(settings) if payload_only else 0
        alone = settings.task_alone if isinstance(settings, LayeredSettings) else settings
        found = codec.fit(self._image, alone, max_bytes - overhead, payload_only=payload_only)
        return Fit(found.data, found.settings, found.size + overhead, found.encodes)

    def scouted(self, bytes_a_pixel: float) -> RateCurve | None:
        """What one sixteenth of a large image teaches; None where the limit is out of its reach."""
        small = _squares(self._image)
        pixels = small.shape[0] * small.shape[1]
        limit = max(1, int(bytes_a_pixel * pixels))
        curve = RateCurve(self.ladder.rungs)
        try:
            _, sizes = fit(self._codec, small, self.ladder.settings, limit, self._accounting)
        except BudgetError:
            return None
        curve.learn(sizes, pixels, weight=1.0)
        return curve


def _squares(image: Image) -> Image:
    """The middle of each cell of a grid over an image, side by side."""
    cell, side = 4 * _SQUARE, _SQUARE
    rows, columns = image.shape[0] // cell, image.shape[1] // cell
    grid = image[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell, 3)
    start = (cell - side) // 2
    middles = grid[:, start : start + side, :, start : start + side]
    return np.ascontiguousarray(middles).reshape(rows * side, columns * side, 3)
