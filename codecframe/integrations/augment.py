"""Images through codecs at settings that are drawn: what data pipelines of all kinds share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from codecframe.core.errors import SettingsError
from codecframe.core.image import Image, check_image
from codecframe.core.parallel import map_threads
from codecframe.core.presets import parse_spec
from codecframe.core.settings import Settings
from codecframe.rate import Accounting, Budget, Keep, counted_size, fit

_Coded = tuple[Image | None, int | None]


class Draw(NamedTuple):
    """Three random numbers, from 0 to 1, which decide all."""

    whether: float
    codec: float
    rate: float

    @classmethod
    def of(cls, image: Image, seed: int) -> Draw:
        """Numbers of a seed and the image itself: the same in every process and every batch."""
        known = hashlib.blake2b(image.tobytes(), key=str(seed).encode(), digest_size=8)
        return cls(*np.random.default_rng(int.from_bytes(known.digest())).random(3).tolist())


class Augmentation:
    """Compresses and decodes images.

    Args:
        codecs: what to draw from, e.g. `jpeg:subsampling=4:4:4`.
        budget: bytes of an image at most, or two budgets to draw one between; None: as the
            settings are; a `Keep` with what was measured: at the lowest level that surely keeps it.
        knob: two values of the rate knob to draw one between; not with a budget.
        p: how likely an image is changed at all.

    Raises:
        UnknownNameError, SettingsError, BudgetError: if arguments name what does not exist.
    """

    def __init__(
        self,
        codecs: str | Sequence[str],
        budget: str | tuple[str, str] | Keep | None = None,
        knob: tuple[float, float] | None = None,
        p: float = 1.0,
    ) -> None:
        specs = [codecs] if isinstance(codecs, str) else list(codecs)
        if not specs:
            raise SettingsError("codecs", specs, "one or more")
        if budget is not None and knob is not None:
            raise SettingsError("knob", list(knob), "nothing beside a budget")
        if not 0 <= p <= 1:
            raise SettingsError("p", p, "from 0 to 1")
        self._variants = [parse_spec(spec) for spec in specs]
        if isinstance(budget, Keep):
            self._variants = [(codec, budget.settings_for(codec, s)) for codec, s in self._variants]
            budget = None
        self._budgets = _budgets(budget)
        self._levels = [_levels(settings, knob) for _, settings in self._variants]
        self._p = p

    def __call__(self, image: Image, draw: Draw) -> tuple[Image, int | None]:
        """(what a codec leaves of the image, its payload bytes), or (the image, None) where it is
        left as it is.

        Raises:
            DataError: if it is not an image.
            BudgetError: if even the lowest level of the codec is over the budget.
        """
        image = check_image(image)
        if draw.whether >= self._p:
            return image, None
        number = min(int(draw.codec * len(self._variants)), len(self._variants) - 1)
        codec, settings = self._variants[number]
        if self._budgets is not None:
            low, high = (budget.allowance(image.shape[:2]) for budget in self._budgets)
            found, _ = fit(codec, image, settings, int(low * (high / low) ** draw.rate))
            data, settings = found.data, found.settings
        else:
            if (levels := self._levels[number]) is not None:
                settings = settings.at_level(round(levels[0] + draw.rate * (levels[1] - levels[0])))
            data = codec.encode(image, settings)
        size = counted_size(codec, data, settings, Accounting.PAYLOAD)
        return codec.decode(data), size


@dataclass(frozen=True)
class ColumnCodec:
    """Compresses and decodes the images of a column.

    Plain data, so that it travels to workers and caches know it. Draws depend on the seed and on
    each image, not on batches, processes or workers.
    """

    codecs: str | tuple[str, ...] = "jpeg"
    column: str = "image"
    budget: str | tuple[str, str] | Keep | None = None
    knob: tuple[float, float] | None = None
    p: float = 1.0
    seed: int = 0
    sizes: str = "bytes"

    def _coded(self, entries: list[Any], read: Callable[[Any], Image | None]) -> list[_Coded]:
        """(what a codec leaves, payload bytes) of each entry; None for what is none."""
        augmentation = Augmentation(self.codecs, self.budget, self.knob, self.p)

        def coded(entry: Any) -> _Coded:
            image = read(entry)
            if image is None:
                return None, None
            return augmentation(image, Draw.of(image, self.seed))

        return map_threads(coded, entries)


def _budgets(given: str | tuple[str, str] | None) -> tuple[Budget, Budget] | None:
    """(lowest, highest)."""
    if given is None:
        return None
    texts = (given, given) if isinstance(given, str) else tuple(given)
    budgets = [Budget.parse(text) for text in texts]
    if len(budgets) != 2 or any(b.mode == "link" or b.amount <= 0 for b in budgets):
        raise SettingsError("budget", given, "one such as 0.8bpp or 12kB, or two")
    return budgets[0], budgets[1]


def _levels(settings: Settings, values: tuple[float, float] | None) -> tuple[int, int] | None:
    """The knob's levels at two of its values."""
    if values is None:
        return None
    knob = settings.knob()
    if knob is None:
        raise SettingsError("knob", list(values), "nothing: this codec has none")
    low, high = sorted(settings.replace(**{knob.field: value}).level for value in values)
    return low, high
