"""Tables made for a head: from derivatives of its loss, then by what real files lose."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe import Image, enlarged, reduced, reduced_shape
from codecframe_jpeg import huffman
from codecframe_jpeg.allocation import Coefficients, Tally, allocate, as_table
from codecframe_jpeg.coefficients import gradients, pattern, quantised, transformed
from codecframe_jpeg.scan import symbols_of
from codecframe_jpeg.settings import JpegSettings
from codecframe_jpeg.tables import ZIGZAG

if TYPE_CHECKING:
    from codecframe import Objective, Score

F32 = npt.NDArray[np.float32]
T = TypeVar("T", bound=np.generic)

DEADZONES = (0.0, 0.1, 0.2)
"""Roundings that tables are made for."""
ROUNDS = 2
"""Allocations for each of them: derivatives are those at the point where the last one led."""
BANDS = (0, 1, 3, 6, 10, 15, 28, 64)
"""Where bands of coefficients that are refined together begin, in zigzag order."""
FACTORS = (1.25, 0.8)
_MOST_PIXELS = 1 << 24
"""Derivatives are taken over no more."""
_AT_ONCE = 1 << 20
"""Pixels whose coefficients and derivatives are held at a time."""
_NUDGE = 24.0
"""How far a coefficient is moved to see what it does to a head that has no derivatives."""
_NUDGED = 200
"""Images on which that is tried: the head looks at each 256 times."""


class Tuner:
    """Quantisation tables, Huffman tables and rounding for a head.

    Args:
        codec: the JPEG codec.
        objective: head, images and budget.
        slowest: microseconds that encoding an image may take. Rounding and Huffman tables of one's
            own cost more than libjpeg's; where that is too much, only quantisation tables are made.
        lacking: settings to leave alone, since the encoder that is tuned for does not have them.
    """

    def __init__(
        self,
        codec: codecframe.Codec[JpegSettings],
        objective: Objective,
        slowest: float = float("inf"),
        lacking: Collection[str] = (),
    ) -> None:
        self._codec = codec
        self._objective = objective
        self._slowest = slowest
        self._lacking = lacking
        self._coding = _CODINGS["standard"]
        pixels = sum(image[..., 0].size for image in objective.images)
        some = int(len(objective.images) * min(1.0, _MOST_PIXELS / pixels))
        self._part = objective.part(max(1, some))
        self._tried: dict[tuple[str, float], list[F32]] = {}

    def scores(self, base: JpegSettings) -> Iterator[Score]:
        """Better and better settings, without end once only refinements are left."""
        plain = base.replace(optimize=False, progressive=False, smoothing=0, restart=0)
        best = self._begin(plain)
        yield best
        plain = _settings(best).replace(quality=plain.quality)
        roundings = DEADZONES if self._coding.own else (0.0,)
        # without derivatives it takes too long to learn what each coefficient is worth
        for start in _starts(plain) if self._differentiable() else [plain]:
            if score := self._within(self._allocated(start, roundings[0])):
                yield score
                best = min(best, score, key=_loss)
        for deadzone in roundings:
            at = _settings(best)
            for _ in range(ROUNDS):
                score = self._measured(self._allocated(at, deadzone))
                yield score
                at = _settings(score)
                best = min(best, score, key=_loss)
        yield from self._refined(best)

    def _begin(self, plain: JpegSettings) -> Score:
        """What the settings are worth with the entropy coding that suits them best, of those that
        the encoder has and that are fast enough; it is the one of all that follows.
        """
        found: list[tuple[Score, _Coding]] = []
        fastest: Score | None = None
        for self._coding in _CODINGS.values():
            if not self._coding.needs & set(self._lacking) and (score := self._within(plain)):
                fastest = score  # so far
                if score.encode_us <= self._slowest:
                    found.append((score, self._coding))
                    if plain.arithmetic:  # it was asked for
                        break
        if not found:
            return fastest or self._measured(plain)
        best, self._coding = min(found, key=lambda one: one[0].loss)
        return best

    def _differentiable(self) -> bool:
        one = self._part.part(1)
        return one.gradients(one.images) is not None

    def _measured(self, settings: JpegSettings) -> Score:
        """Settings at the level that the budget allows, with Huffman tables made for them."""
        settings = self._coding.applied(settings)
        if not self._coding.own or settings.arithmetic:
            return self._objective.measure(self._codec, settings)
        at_budget = self._objective.measure(self._codec, self._with_huffman(settings))
        return self._objective.measure(self._codec, self._with_huffman(_settings(at_budget)))

    def _within(self, settings: JpegSettings) -> Score | None:
        """As `_measured`; None where the budget is too small for so many pixels."""
        try:
            return self._measured(settings)
        except codecframe.BudgetError:
            return None

    # -- Huffman tables -----------------------------------------------------------------------

    def _with_huffman(self, settings: JpegSettings) -> JpegSettings:
        """With the tables that code the tuning images best."""
        counts = np.ones((4, 256), np.int64)
        for piece in self._objective.pieces(_AT_ONCE):
            for images in _of_one_size(_small(piece.images, settings)):
                counts += np.stack(symbols_of(quantised(images, settings)).counts())
        return settings.replace(huffman=huffman.tables_from(counts.tolist()))

    # -- quantisation tables ------------------------------------------------------------------

    def _allocated(self, at: JpegSettings, deadzone: float) -> JpegSettings:
        """Tables by the derivatives at some settings; quality 50 is about the budget."""
        tallies = [Tally(deadzone) for _ in at.scaled_tables]
        for piece in self._part.pieces(_AT_ONCE):
            for tally, coefficients in zip(tallies, self._coefficients(piece, at), strict=True):
                tally.add(coefficients)
        curves = [tally.curves() for tally in tallies]
        tables = allocate(curves, self._objective.allowance * 8)
        return at.replace(qtables=tables, deadzone=deadzone, quality=50)

    def _coefficients(self, piece: Objective, settings: JpegSettings) -> list[Coefficients]:
        """Luma's and, if there is any, chroma's, and what a change of each does."""
        sampling = settings.layout.sampling
        found = piece.gradients(self._decoded(piece, settings))
        tables = len(settings.scaled_tables)
        values = [
            _by_table(transformed(images, sampling))[:tables]
            for images in _of_one_size(_small(piece.images, settings))
        ]
        if found is None:
            # trying takes long, and depends little on the tables
            kind = settings.subsampling, settings.scale
            if kind not in self._tried:
                self._tried[kind] = self._nudged(settings)
            fisher = self._tried[kind]
        else:
            # what enlarging spreads over several pixels comes together again
            small = [some / np.float32(settings.scale**2) for some in _small(found, settings)]
            slopes = [_by_table(gradients(some, sampling))[:tables] for some in _of_one_size(small)]
            fisher = [np.concatenate(table) ** 2 for table in zip(*slopes, strict=True)]
        together = [np.concatenate(table) for table in zip(*values, strict=True)]
        return [
            Coefficients(value, weight, len(piece.images))
            for value, weight in zip(together, fisher, strict=False)
        ]

    def _decoded(self, part: Objective, settings: JpegSettings) -> list[Image]:
        return self._codec.decode_many(self._codec.encode_many(part.images, settings))

    def _nudged(self, settings: JpegSettings) -> list[F32]:
        """What moving a coefficient in all blocks does to the loss, by trying: (1, 64) for luma and
        for chroma.
        """
        part = self._part.part(_NUDGED)
        decoded = self._decoded(part, settings)
        before, _ = part.judge(decoded)
        fisher = np.zeros((2, 1, 64), np.float32)
        for table, place in np.ndindex(2, 64):
            patterns = {
                shape: _pattern(shape, settings, table, place)
                for shape in {image.shape[:2] for image in decoded}
            }
            blocks = sum(patterns[image.shape[:2]][1] for image in decoded)
            rise = -2 * before.sum()
            for change in (_NUDGE, -_NUDGE):
                moved = [
                    _to_pixels(image + change * patterns[image.shape[:2]][0]) for image in decoded
                ]
                rise += part.judge(moved)[0].sum()
            fisher[table, 0, place] = max(0.0, rise / (_NUDGE**2 * blocks))
        floor = fisher.max(axis=(1, 2), keepdims=True) / 1000
        return list(np.maximum(fisher, floor))

    # -- refinement ---------------------------------------------------------------------------

    def _refined(self, best: Score) -> Iterator[Score]:
        """Bands made finer or coarser, as long as real encodes lose less."""
        while True:
            for move in _MOVES:
                settings = move.applied(_settings(best))
                if settings is None or (settings.deadzone and not self._coding.own):
                    continue
                score = self._measured(settings)
                yield score
                best = min(best, score, key=_loss)


@dataclass(frozen=True)
class _Coding:
    """A way to code coefficients.

    Attributes:
        own: by this plugin's own encoder, with Huffman tables that both ends know, or arithmetic.
        optimize: by libjpeg, with Huffman tables for each image.
    """

    own: bool
    optimize: bool

    @property
    def needs(self) -> set[str]:
        """Settings that it takes."""
        return {"huffman"} if self.own else {"optimize"} if self.optimize else set()

    def applied(self, settings: JpegSettings) -> JpegSettings:
        """The settings with it."""
        if self.own:
            return settings.replace(optimize=False)
        off = {"huffman": None, "arithmetic": False, "deadzone": 0.0}
        return settings.replace(**off).replace(optimize=self.optimize)


_CODINGS = {
    "own": _Coding(own=True, optimize=False),
    "optimize": _Coding(own=False, optimize=True),
    "standard": _Coding(own=False, optimize=False),
}
"""The slowest first."""


@dataclass(frozen=True)
class _Move:
    """A band of a table, multiplied; or the rounding, moved."""

    table: int
    band: tuple[int, int]
    factor: float
    deadzone: float = 0.0

    def applied(self, settings: JpegSettings) -> JpegSettings | None:
        """The settings after the move, or None where it changes nothing."""
        tables = [np.array(table)[ZIGZAG].astype(float) for table in settings.scaled_tables]
        if self.table >= len(tables):
            return None
        tables[self.table][slice(*self.band)] *= self.factor
        deadzone = min(0.5, max(0.0, round(settings.deadzone + self.deadzone, 3)))
        made = settings.replace(qtables=tuple(map(as_table, tables)), quality=50, deadzone=deadzone)
        same = replace(settings, qtables=made.qtables, quality=50)
        return None if made == same and made.scaled_tables == settings.scaled_tables else made


_MOVES = [
    *(
        _Move(table, band, factor)
        for band in pairwise(BANDS)
        for table in (0, 1)
        for factor in FACTORS
    ),
    *(_Move(0, (0, 0), 1.0, change) for change in (0.05, -0.05)),
]


def _starts(base: JpegSettings) -> list[JpegSettings]:
    """Resolutions to make tables for. With tables of its own a codec need not save bits by leaving
    pixels out, so the best one is not that with the usual tables.
    """
    subsamplings = dict.fromkeys((base.subsampling, "4:4:4", "4:2:0"))
    scales = dict.fromkeys((base.scale, 1.0))
    return [base.replace(subsampling=s, scale=scale) for scale in scales for s in subsamplings]


def _loss(score: Score) -> float:
    return score.loss


def _settings(score: Score) -> JpegSettings:
    return cast("JpegSettings", score.settings)


def _small(images: Sequence[npt.NDArray[T]], settings: JpegSettings) -> list[npt.NDArray[T]]:
    """What is encoded of images."""
    return [reduced(image, settings.scale) for image in images]


def _pattern(
    shape: codecframe.Shape, settings: JpegSettings, table: int, place: int
) -> tuple[F32, int]:
    """`pattern` at the size of decoded images."""
    small, blocks = pattern(
        reduced_shape(shape, settings.scale), settings.layout.sampling, table, place
    )
    return enlarged(small, shape), blocks


def _to_pixels(values: F32) -> Image:
    """Rounded, `uint8`."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _of_one_size(images: Sequence[npt.NDArray[T]]) -> Iterator[npt.NDArray[T]]:
    """Images side by side, one stack for each run of a size."""
    for _, run in groupby(images, lambda image: image.shape):
        yield np.stack(list(run))


def _by_table(components: Sequence[F32]) -> list[F32]:
    """Blocks of luma, and of both chroma components, each (blocks, 64)."""
    luma, *chroma = (component.reshape(-1, 64) for component in components)
    return [luma, np.concatenate(chroma)]
