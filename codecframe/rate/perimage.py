"""A level for each image, chosen on the device, that keeps what was promised of all of them.

An image is encoded at a low level. How difficult it looks there, by its bytes or by what a
head on the device says of it, names its level: easy images stay small. Which difficulty gets which
level is calibrated on images that were measured at all levels: some of them say what could be
tried, from the safest on, and the others decide (`codecframe.core.guarantees`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core import guarantees
from codecframe.core.codec import Codec, Fit
from codecframe.core.errors import BudgetError, MismatchError
from codecframe.core.image import Image
from codecframe.core.parallel import chunks, map_threads
from codecframe.core.settings import Settings
from codecframe.rate.budget import Accounting, counted_size
from codecframe.rate.keep import Keep, Outcomes

FloatArray = npt.NDArray[np.float64]

_BINS = 24
_BAND = 0.1
"""Of the kernel, as a share of the images."""
_PRICES = np.geomspace(1e3, 1e-3, 60)
_FIT = 4
"""One image of so many says what could be tried."""
_CHUNK = 32


@dataclass(frozen=True)
class LevelTable:
    """The level for each difficulty.

    Attributes:
        edges: of bins of difficulty, rising.
        levels: of the knob, one for each bin: one more than there are edges.
        base: the level at which difficulty is seen; None for the lowest of `levels`.

    Examples:
        >>> table = cf.LevelTable(edges=(100.0, 200.0), levels=(3, 5, 9))
        >>> table.level(50), table.level(150), table.level(1000)
        (3, 5, 9)
    """

    edges: tuple[float, ...]
    levels: tuple[int, ...]
    base: int | None = None

    def __post_init__(self) -> None:
        if len(self.levels) != len(self.edges) + 1 or list(self.edges) != sorted(self.edges):
            raise MismatchError("a level table has rising edges, and one level more than edges")

    def level(self, difficulty: float) -> int:
        """The level for an image."""
        return self.levels[int(np.searchsorted(self.edges, difficulty))]

    @classmethod
    def calibrated(
        cls,
        difficulty: FloatArray,
        sizes: FloatArray,
        outcomes: Sequence[Outcomes],
        levels: Sequence[int],
        keep: Keep,
        tables: Sequence[LevelTable] | None = None,
    ) -> LevelTable:
        """The table of the fewest bytes that surely keeps what was asked.

        Args:
            difficulty: of each image at the lowest of the levels, `float64`, (images,).
            sizes: bytes of each image at each level, `float64`, (images, levels).
            outcomes: what the head made of the images, for each level.
            levels: those of the knob, rising.
            keep: what must stay right.
            tables: what `candidates` made of other images; by default it takes one in four of
                these, and the rest decides.

        Raises:
            BudgetError: if the images do not show it even at the highest level.

        Examples:
            >>> rng = np.random.default_rng(0)
            >>> hard = rng.random(600) < 0.2  # of images that need the second level
            >>> right = [cf.Outcomes(np.where(hard, 0.0, 1.0)), cf.Outcomes(np.ones(600))]
            >>> bytes_ = np.tile([100.0, 400.0], (600, 1))
            >>> table = cf.LevelTable.calibrated(
            ...     hard.astype(float), bytes_, right, [3, 9], cf.Keep("95%")
            ... )
            >>> table.level(0.0), table.level(1.0)
            (3, 9)
        """
        decide = np.arange(len(difficulty))
        if tables is None:
            fit, decide = decide[::_FIT], decide[decide % _FIT > 0]
            fitting = [one[fit] for one in outcomes]
            tables = cls.candidates(difficulty[fit], sizes[fit], fitting, keep)
        deciding = [one[decide] for one in outcomes]

        def p_value(table: LevelTable) -> float:
            places = np.array(table.levels)[np.searchsorted(table.edges, difficulty[decide])]
            return keep.p_value(_picked(deciding, places))

        sure = guarantees.sequence(map(p_value, tables), keep.error)
        if not sure:
            raise BudgetError(
                f"{len(decide)} images do not show that {keep.text} is kept at the highest level"
            )
        found = tables[sure - 1]
        return cls(found.edges, tuple(levels[place] for place in found.levels), levels[0])

    @classmethod
    def candidates(
        cls, difficulty: FloatArray, sizes: FloatArray, outcomes: Sequence[Outcomes], keep: Keep
    ) -> list[LevelTable]:
        """What could be tried, the safest first: tables of places of levels, the lowest 0.

        A bin of difficulty gets the level of the least bytes minus a price times what is kept; the
        price falls. The first is the highest level for all. What bins cost and keep is smoothed
        over their neighbours by a Gaussian kernel: a bin alone has too few images to tell levels
        apart.

        Args:
            difficulty, sizes, outcomes, keep: as `calibrated` takes them.
        """
        edges = np.unique(np.quantile(difficulty, np.linspace(0, 1, _BINS + 1)[1:-1]))
        ranks = difficulty.argsort().argsort() / len(difficulty)
        middles = np.searchsorted(np.sort(difficulty), [*edges, np.inf]) / len(difficulty)
        middles = (middles + np.array([0.0, *middles[:-1]])) / 2
        weights = np.exp(-0.5 * ((middles[:, None] - ranks) / _BAND) ** 2)
        weights /= weights.sum(axis=1, keepdims=True)
        cost = weights @ sizes / sizes.mean()
        kept = weights @ np.stack([keep.values(one) for one in outcomes], axis=1)
        kept = np.maximum.accumulate(kept, axis=1)  # chance alone makes a higher level worse
        top = (len(outcomes) - 1,) * (len(edges) + 1)
        every = [top, *(tuple((cost - price * kept).argmin(axis=1).tolist()) for price in _PRICES)]
        rising = tuple(edges.tolist())
        return [cls(rising, places) for places in dict.fromkeys(every)]


def _picked(outcomes: Sequence[Outcomes], places: npt.NDArray[np.int64]) -> Outcomes:
    """Of each image, the outcome at its level."""

    def pick(parts: Sequence[FloatArray | None]) -> FloatArray | None:
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        found: FloatArray = np.stack(known)[places, np.arange(len(places))]
        return found

    return Outcomes(
        pick([one.agreement for one in outcomes]),
        pick([one.score for one in outcomes]),
        pick([one.uncompressed for one in outcomes]),
    )


class KeepController:
    """Encodes each image at the level that its difficulty asks for; a `RateController`.

    Args:
        codec: the codec.
        settings: everything but the knob.
        table: levels by difficulty, as `LevelTable.calibrated` finds them.
        accounting: which bytes count.
        difficulty: of an image, from its encoding at the table's base level; by default its counted
            bytes. It must be the one that the table was calibrated with.

    Examples:
        >>> codec = cf.get_codec("webp")
        >>> table = cf.LevelTable(edges=(500.0,), levels=(40, 120))
        >>> control = cf.KeepController(codec, codec.settings(), table)
        >>> control.encode(photo).settings.level in (40, 120)
        True
    """

    varies = True

    def __init__(
        self,
        codec: Codec[Any],
        settings: Settings,
        table: LevelTable,
        accounting: Accounting = Accounting.PAYLOAD,
        difficulty: Callable[[bytes], float] | None = None,
    ) -> None:
        self._codec = codec
        self._settings = settings.at_level(min(table.levels) if table.base is None else table.base)
        self._table = table
        self._accounting = accounting
        self._difficulty = difficulty or (lambda data: self._size(data, self._settings))

    def encode(self, image: Image) -> Fit[Any]:
        """Encode the next image: once at the lowest level, and again where it needs more."""
        first = self._codec.encode(image, self._settings)
        level = self._table.level(self._difficulty(first))
        if level == self._settings.level:
            return Fit(first, self._settings, self._size(first, self._settings), 1)
        chosen = self._settings.at_level(level)
        data = self._codec.encode(image, chosen)
        return Fit(data, chosen, self._size(data, chosen), 2)

    def encode_many(self, images: Iterable[Image]) -> Iterator[Fit[Any] | BudgetError]:
        """Encode images in order on all cores; each for itself."""
        for some in chunks(images, _CHUNK):
            yield from map_threads(self.encode, some)

    def _size(self, data: bytes, settings: Settings) -> int:
        return counted_size(self._codec, data, settings, self._accounting, knob_varies=True)
