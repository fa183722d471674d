"""Rate controllers: they pick the knob image by image so that a budget is met.

`FixedController` is the one without a budget: settings stay as they are. `CapController` holds
every image under the allowance. `StreamController` holds the average under it, letting bits go
where they are needed, and a link's send buffer from overflowing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

from codecframe.core.codec import Codec, Fit
from codecframe.core.errors import BudgetError
from codecframe.core.image import Image, Shape
from codecframe.core.parallel import chunks, map_threads
from codecframe.core.settings import Settings
from codecframe.rate.asked import settled
from codecframe.rate.budget import Accounting, Budget, counted_size
from codecframe.rate.curve import RateCurve
from codecframe.rate.keep import Keep
from codecframe.rate.ladder import Ladder
from codecframe.rate.search import fit

T = TypeVar("T")

_CHUNK = 32
"""Images that are searched side by side with one state of the curve, at most; the same on every
machine, so that the outcome does not depend on the number of cores."""
_HORIZON = 12
"""Images over which a stream's surplus or debt is paid back."""
_CAP_MEMORY = 4
_STREAM_MEMORY = 50
"""Images over which the expected complexity is averaged: a stream wants a steady knob, a search
the best first guess."""


class RateController(Protocol):
    """Encodes images one after the other under a budget.

    Attributes:
        varies: whether the knob's level differs from image to image, so that a receiver must be
            told which it is.

    Examples:
        >>> codec, budget = cf.get_codec("webp"), cf.Budget.parse("900B")
        >>> control: cf.RateController = cf.controller(codec, codec.settings(), budget)
        >>> [found.size <= 900 for found in control.encode_many([photo, photo])]
        [True, True]
    """

    varies: bool

    def encode(self, image: Image) -> Fit[Any]:
        """Encode the next image. Never over the budget.

        Raises:
            BudgetError: if even the smallest encoding does not fit.
        """
        ...

    def encode_many(self, images: Iterable[Image]) -> Iterator[Fit[Any] | BudgetError]:
        """Encode images in order, reading only a few ahead.

        An image that cannot fit yields its error, so that it does not stop the others.
        """
        ...


def controller(
    codec: Codec[Any],
    settings: Settings,
    budget: Budget | Keep | None,
    accounting: Accounting = Accounting.PAYLOAD,
    *,
    buffer_seconds: float = 1.0,
) -> RateController:
    """The controller for a budget's mode; without a budget, the one that keeps the settings.

    Args:
        codec: the codec.
        settings: everything but the knob; without a budget, the knob too. Where they want a picture
            layer, the knob is the highest level of the task layer, and the picture gets the rest.
        budget: what may be spent; None encodes with the settings as given; a `Keep` with those
            that were measured to keep enough.
        accounting: which bytes count.
        buffer_seconds: for links, how many seconds of traffic the send buffer holds.

    Examples:
        >>> codec = cf.get_codec("webp")
        >>> control = cf.controller(codec, codec.settings(), cf.Budget.parse("0.9bpp", mode="mean"))
        >>> control.encode(photo).size <= 0.9 * 48 * 64 / 8
        True
    """
    settings, budget = settled(codec, settings, budget)
    if budget is None:
        return FixedController(codec, settings, accounting)
    if budget.mode == "cap":
        return CapController(codec, settings, budget, accounting)
    depth = budget.amount / 8 * buffer_seconds if budget.mode == "link" else math.inf
    return StreamController(codec, settings, budget, accounting, depth=depth)


def _attempt(encode: Callable[[Image], T], image: Image) -> T | BudgetError:
    """What is made of an image, or the error if it cannot fit."""
    try:
        return encode(image)
    except BudgetError as error:
        return error


class FixedController:
    """Every image with the same settings."""

    varies = False

    def __init__(self, codec: Codec[Any], settings: Settings, accounting: Accounting) -> None:
        self._codec = codec
        self._settings = settings
        self._accounting = accounting

    def encode(self, image: Image) -> Fit[Any]:
        """Encode the next image."""
        return self._counted(self._codec.encode(image, self._settings))

    def encode_many(self, images: Iterable[Image]) -> Iterator[Fit[Any] | BudgetError]:
        """Encode images in order, in chunks, by the codec's own `encode_many`."""
        for chunk in chunks(images, _CHUNK):
            yield from map(self._counted, self._codec.encode_many(chunk, self._settings))

    def _counted(self, data: bytes) -> Fit[Any]:
        size = counted_size(
            self._codec, data, self._settings, self._accounting, knob_varies=self.varies
        )
        return Fit(data, self._settings, size, 1)


class CapController:
    """No image costs more than its allowance; about 2 to 3 encodes an image."""

    varies = True

    def __init__(
        self, codec: Codec[Any], settings: Settings, budget: Budget, accounting: Accounting
    ) -> None:
        self._codec = codec
        self._settings = settings
        self._budget = budget
        self._accounting = accounting
        self._curve = RateCurve(Ladder(settings).rungs, _CAP_MEMORY)

    def encode(self, image: Image) -> Fit[Any]:
        """Encode the next image within its allowance."""
        found, sizes = self._search(image)
        self._curve.learn(sizes, image.shape[0] * image.shape[1])
        return found

    def encode_many(self, images: Iterable[Image]) -> Iterator[Fit[Any] | BudgetError]:
        """Encode images in order on all cores."""
        iterator = iter(images)
        # few side by side while the curve knows little
        while chunk := list(islice(iterator, min(_CHUNK, max(1, self._curve.images)))):
            results = map_threads(partial(_attempt, self._search), chunk)
            for image, result in zip(chunk, results, strict=True):
                if isinstance(result, BudgetError):
                    yield result
                else:
                    found, sizes = result
                    self._curve.learn(sizes, image.shape[0] * image.shape[1])
                    yield found

    def _search(self, image: Image) -> tuple[Fit[Any], dict[int, int]]:
        allowed = self._budget.bytes_for(image.shape[:2])
        return fit(self._codec, image, self._settings, allowed, self._accounting, curve=self._curve)


class StreamController:
    """A token bucket: each image adds its allowance, and none costs more than what is saved up.

    With infinite `depth` the average of all images so far never exceeds the budget. With a finite
    one this is a link: `depth` is the send buffer in bytes, what is not spent beyond it is lost,
    and the buffer never overflows. The knob moves slowly: it aims at the level whose average cost
    is the allowance plus a share of the surplus; usually one encode an image.

    Examples:
        >>> codec, link = cf.get_codec("webp"), cf.Budget.parse("40kbit/s@5fps")
        >>> control = cf.StreamController(
        ...     codec, codec.settings(), link, cf.Accounting.PAYLOAD, depth=5000
        ... )
        >>> control.encode(photo).size <= 5000
        True
    """

    varies = True

    def __init__(
        self,
        codec: Codec[Any],
        settings: Settings,
        budget: Budget,
        accounting: Accounting,
        *,
        depth: float,
    ) -> None:
        self._codec = codec
        self._settings = settings
        Budget.of(budget)  # refuses what must stay right
        self._budget = budget
        self._accounting = accounting
        self._depth = depth
        self._saved: float | None = None
        self._curve = RateCurve(Ladder(settings).rungs, _STREAM_MEMORY)

    @property
    def saved(self) -> float:
        """Bytes that could be spent on top of the next image's allowance."""
        return self._saved or 0.0

    def encode(self, image: Image) -> Fit[Any]:
        """Encode the next image within what is saved up."""
        shape = image.shape[:2]
        pixels = shape[0] * shape[1]
        allowance = self._budget.allowance(shape)
        available = self._available(allowance)
        aim = allowance + self._surplus(allowance) / _HORIZON
        start = self._curve.first_guess(pixels, max(aim, allowance / 4))
        try:
            found, sizes = self._encode_near(image, start, math.floor(available + 1e-9))
        except BudgetError:
            if math.isfinite(self._depth):  # the frame is dropped; its time on the link is not lost
                self._saved = available
            raise
        self._curve.learn(sizes, pixels)
        self._saved = available - found.size
        return found

    def skip(self, shape: Shape, size: float) -> None:
        """The next image is not encoded: `size` bytes are sent in its place, and what is left of
        its allowance is saved up.
        """
        self._saved = max(self._available(self._budget.allowance(shape)) - size, 0.0)

    def spend(self, size: float) -> None:
        """Take bytes that were spent on something else from what is saved up, as far as it goes."""
        self._saved = max(self.saved - size, 0.0)

    def follow(self, budget: Budget) -> None:
        """Go on under another budget of the same mode, as when a link's bit rate changes.

        The send buffer changes with the bit rate; what is saved up shrinks with it, never grows.
        """
        factor = budget.amount / self._budget.amount
        self._budget = budget
        if math.isfinite(self._depth):
            self._depth *= factor
            self._saved = None if self._saved is None else self._saved * min(factor, 1.0)

    def encode_many(self, images: Iterable[Image]) -> Iterator[Fit[Any] | BudgetError]:
        """Encode images in order, one after the other: each depends on the one before."""
        return map(partial(_attempt, self.encode), images)

    def _available(self, allowance: float) -> float:
        """What the next image may cost: its allowance, and what is saved up."""
        if self._saved is None:  # a link starts with an empty buffer, an average with nothing saved
            self._saved = 0.0 if math.isinf(self._depth) else max(self._depth - allowance, 0.0)
        return min(self._saved + allowance, max(self._depth, allowance))

    def _surplus(self, allowance: float) -> float:
        """What is saved beyond the reserve that absorbs a costly image."""
        reserve = 2 * allowance if math.isinf(self._depth) else self._depth / 2
        return self.saved - reserve

    def _encode_near(
        self, image: Image, level: int, available: int
    ) -> tuple[Fit[Any], dict[int, int]]:
        """Encode at rung `level`; only where that costs more than is available, search below."""
        settings = Ladder(self._settings).at(level)
        data = self._codec.encode(image, settings)
        size = counted_size(self._codec, data, self._settings, self._accounting, knob_varies=True)
        if size <= available:
            return Fit(data, settings, size, 1), {level: size}
        below = self._curve.next_guess({level: size}, available * 0.98)
        found, sizes = fit(
            self._codec, image, self._settings, available, self._accounting,
            curve=self._curve, start=min(below, max(level - 1, 0)),
        )  # fmt: skip
        return Fit(found.data, found.settings, found.size, found.encodes + 1), {
            **sizes,
            level: size,
        }
