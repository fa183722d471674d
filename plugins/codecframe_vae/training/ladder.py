"""From the few rates that were trained to the codec's ladder of levels, each with its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

import codecframe
from codecframe_vae.entropy.context import ContextModel
from codecframe_vae.entropy.grid import LARGEST
from codecframe_vae.networks.nets import Gains
from codecframe_vae.runtime.model import by_shape, open_session
from codecframe_vae.settings import LEVELS
from codecframe_vae.training.contexts import fit_context, least_squares
from codecframe_vae.training.data import U8, Labelled
from codecframe_vae.training.recipes import LadderRecipe

F32 = npt.NDArray[np.float32]

_IMAGES = 20_000
"""Training images whose latents the tables are counted on."""
_MARGIN = 0.012
"""A level aims this far below its rate, so that other images stay under it as well."""
_CLOSE = 0.025
"""A level whose rate is this close, relative, is not placed again."""
_LOOKED_AT = 3
"""Places whose rates are looked at first."""
_TRIES = 5
"""Places that are tried for a level, at most."""
_FARTHEST = 8.0
"""Levels are placed at most so far beyond the trained ones, in steps between them."""
_RARE = 1e-3
"""Beyond the trained levels, shares of latents under this do not count."""
_PAYLOAD_END = 0.33
"""What a payload takes besides what the tables say, in bytes."""


class Coded(Protocol):
    """A network whose latents are coded."""

    @property
    def gains(self) -> Gains:
        """Of the trained levels."""
        ...


@dataclass(frozen=True)
class Ladder:
    """The codec's levels.

    Attributes:
        places: where each level lies among the trained ones, fractional.
        rates: mean bpp of each on validation images.
        contexts: their entropy coders.
        up, down: gains, `float32`, (levels, C).
    """

    places: list[float]
    rates: list[float]
    contexts: list[ContextModel]
    up: F32
    down: F32

    def between(self, table: Tensor) -> F32:
        """A table with a row for each trained level, brought to the codec's levels."""
        return np.stack([held_row(table, place) for place in self.places])


def row_at(table: Tensor, place: float) -> F32:
    """Row `place` of a table, (x,): interpolated, or extrapolated from the two nearest."""
    low = min(max(int(np.floor(place)), 0), len(table) - 2)
    rows = table.detach().numpy()
    return np.asarray(rows[low] + (place - low) * (rows[low + 1] - rows[low]), np.float32)


def held_row(table: Tensor, place: float) -> F32:
    """As `row_at`, but above the last row it is the last."""
    return row_at(table, min(place, len(table) - 1))


def multipliers_at(gains: Gains, place: float) -> tuple[F32, F32]:
    """Before rounding and after decoding, each (C,).

    Above the trained levels latents become finer and all else stays: to go on with the trend of
    `log_down` cost half a point of top-1 at 1.6 times the highest trained rate.
    """
    up = row_at(gains.log_up, place)
    down = held_row(gains.log_down, place) + held_row(gains.log_up, place) - up
    return np.exp(up), np.exp(down)


def real_latents(encoder: bytes, images: U8) -> F32:
    """Latents, (n, C, h, w), of images, by the encoder's graph as it is shipped."""
    session = open_session(encoder, "encoder")
    return np.stack(by_shape(images, lambda batch: session.run(None, {"images": batch})[0]))


def _place(
    fitting: Fitting, seen: dict[float, float], wanted: float
) -> tuple[float, float, ContextModel]:
    """(place, rate, entropy coder) of the level with that rate, or the closest within reach.

    Adds what it sees to `seen`.
    """
    tried: list[tuple[float, float, float, ContextModel]] = []
    low, high = fitting.reach
    for _ in range(_TRIES):
        place = min(max(_guess(seen, float(np.log(wanted))), low), high)
        if tried and place == tried[-1][1]:  # no place has that rate
            break
        context = fitting.context(place)
        rate = fitting.rate(context, place)
        seen[place] = float(np.log(rate))
        tried.append((abs(seen[place] - np.log(wanted)), place, rate, context))
        if tried[-1][0] < _CLOSE:
            break
    _, place, rate, context = min(tried, key=lambda found: found[0])
    return place, rate, context


def _guess(seen: dict[float, float], wanted: float) -> float:
    """Where log(rate) is `wanted`, given log(rate) by place.

    On the line between the last place that is below and the next one, which is above; outside of
    all, as far beyond the outermost place as the rates between the outermost two say.
    """
    places = sorted(seen)
    lowest, highest = places[0], places[-1]
    slope = max(seen[highest] - seen[lowest], 0.1) / (highest - lowest)
    last = max((place for place in places if seen[place] <= wanted), default=None)
    if last is None:
        return lowest + (wanted - seen[lowest]) / slope
    if last == highest:
        return highest + (wanted - seen[highest]) / slope
    after = places[places.index(last) + 1]
    return last + (wanted - seen[last]) / (seen[after] - seen[last]) * (after - last)


class Fitting:
    """Tables for the latents of training images, at any place among the trained levels, and rates
    of validation images, or of training images where there are none.
    """

    def __init__(
        self,
        encoder: bytes,
        model: Coded,
        recipe: LadderRecipe,
        training: Labelled,
        validation: Labelled,
    ) -> None:
        self._model = model
        self._recipe = recipe
        self._training = real_latents(encoder, training.images[:_IMAGES])
        checked = validation if len(validation) else training
        self._checked = real_latents(encoder, checked.images[:_IMAGES])
        self._pixels = training.pixels
        self._weights: dict[float, npt.NDArray[np.float64]] = {}
        self.reach = self._reach()

    def ladder(self, run: codecframe.TrainingRun) -> Ladder:
        """The levels, placed at their rates, each with its tables."""
        recipe = self._recipe
        with run.progress(LEVELS + _LOOKED_AT) as display:
            seen = {}
            for place in np.linspace(0, len(recipe.rates) - 1, _LOOKED_AT).tolist():
                seen[place] = float(np.log(self.rate(self.context(place), place)))
                display.advance(1, "tables")
            placed = []
            for level in range(LEVELS):
                wanted = recipe.lowest * 2 ** (level / recipe.octave) * (1 - _MARGIN)
                placed.append(_place(self, seen, wanted))
                display.advance(1, f"tables {placed[-1][1]:.3f} bpp")
        places = [place for place, _, _ in placed]
        up, down = zip(*(multipliers_at(self._model.gains, place) for place in places), strict=True)
        return Ladder(
            places,
            [rate for _, rate, _ in placed],
            [context for _, _, context in placed],
            np.stack(up),
            np.stack(down),
        )

    def _reach(self) -> tuple[float, float]:
        """(lowest, highest) place for a level.

        Below, nothing would be sent; above, latents would be cut off, and fewer bits sent again.
        """
        some = self._training[:1000]
        low, high = 0.0, len(self._recipe.rates) - 1.0
        last = high

        def share(place: float, least: int) -> float:
            return float((np.abs(self.rounded(some, place)) >= least).mean())

        while low > -_FARTHEST and share(low - 0.25, 1) > _RARE:
            low -= 0.25
        while high < last + _FARTHEST and share(high + 0.25, LARGEST) < _RARE:
            high += 0.25
        return low, high

    def rounded(self, real: F32, place: float) -> npt.NDArray[np.int16]:
        """Integer latents."""
        up, _ = multipliers_at(self._model.gains, place)
        scaled: F32 = real * up[:, None, None]
        return np.clip(np.rint(scaled), -32767, 32767).astype(np.int16)

    def context(self, place: float) -> ContextModel:
        """The entropy coder there."""
        near, groups = round(2 * place) / 2, self._recipe.groups
        if near not in self._weights:  # they change little from one level to the next
            self._weights[near] = least_squares(self.rounded(self._training, near), groups)
        return fit_context(self.rounded(self._training, place), self._weights[near], groups)

    def rate(self, context: ContextModel, place: float) -> float:
        """Mean bpp there."""
        latents = context.clip(self.rounded(self._checked, place))
        sizes = [
            context.ideal_bytes(latents[at : at + 1000]) for at in range(0, len(latents), 1000)
        ]
        return float(np.concatenate(sizes).mean() + _PAYLOAD_END) * 8 / self._pixels
