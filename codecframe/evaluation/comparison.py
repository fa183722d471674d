"""Rows of a published table beside each other: on the same images, with intervals.

A codec is compared with another at no more bits, and settings with the codec's defaults at the same
bits and at the same score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.statistics import mcnemar, paired_difference

F64 = npt.NDArray[np.float64]

_RESAMPLES = 2000
_AT_ONCE = 100
_TAILS = (0.025, 0.975)


@dataclass(frozen=True)
class Curve:
    """What a codec variant scored in front of a head.

    Attributes:
        codec: the codec's name.
        head: the head's name.
        words: the settings that differ from the codec's defaults.
        bpp: bits per pixel of its points, rising, (points,).
        scores: of every image at every point, from 0 to 1, (points, images).
    """

    codec: str
    head: str
    words: str
    bpp: F64
    scores: F64


def at_no_more_bits(ours: Curve, theirs: Curve, place: int) -> dict[str, Any] | None:
    """What another codec scores above a point of ours, at its largest rate not above ours.

    Args:
        ours: the point's curve.
        theirs: the other codec's.
        place: of the point.

    Returns:
        The difference `more` with a 95 % interval, and McNemar's exact test; None where the other
        codec needs more bits.
    """
    fitting = np.flatnonzero(theirs.bpp <= ours.bpp[place])
    if not len(fitting):
        return None
    pair = theirs.scores[fitting[-1]], ours.scores[place]
    more, low, high = paired_difference(*pair)
    return {
        "codec": theirs.codec,
        "bpp": round(float(theirs.bpp[fitting[-1]]), 4),
        "more": round(more, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "p": float(f"{mcnemar(*pair):.2g}"),
    }


def beside_defaults(ours: Curve, defaults: Curve) -> list[dict[str, Any]]:
    """What settings gain over a codec's defaults, at each of their points.

    Between the points of the defaults, scores are interpolated over log(bits).

    Returns:
        `more`: what is scored more at the same bits, with a 95 % interval; None outside of the
        rates at which the defaults were measured. `saved`: the share of bits saved at the same
        score, with a 95 % interval from resampled images (percentile bootstrap; Efron, 1979); None
        where the defaults never score so. Where some resamples leave the curve, its end is taken,
        so that the interval claims no more than was measured.
    """
    known = np.log(defaults.bpp)
    everything = np.ones((1, ours.scores.shape[1]))
    (saved,) = _saved(ours, defaults, everything)
    resampled = [_saved(ours, defaults, weights) for weights in _resamples(everything.shape[1])]
    lows, highs = np.quantile(np.concatenate(resampled), _TAILS, axis=0)
    least, most = np.sort(defaults.scores.mean(axis=1))[[0, -1]]
    found: list[dict[str, Any]] = []
    for place, (bits, scores) in enumerate(zip(np.log(ours.bpp), ours.scores, strict=True)):
        one: dict[str, Any] = {"more": None, "saved": None}
        if known[0] <= bits <= known[-1]:
            at_same = _interpolated(known, defaults.scores, bits)
            one["more"] = _rounded(paired_difference(scores, at_same))
        if least <= scores.mean() <= most:
            one["saved"] = _rounded((saved[place], lows[place], highs[place]))
        found.append(one)
    return found


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 4) for value in values]


def _interpolated(known: F64, scores: F64, bits: float) -> F64:
    """Scores of every image at a rate between two points."""
    right = int(np.clip(np.searchsorted(known, bits), 1, len(known) - 1))
    share = (bits - known[right - 1]) / (known[right] - known[right - 1])
    return np.asarray((1 - share) * scores[right - 1] + share * scores[right], np.float64)


def _saved(ours: Curve, defaults: Curve, weights: F64) -> F64:
    """The share of bits saved at the same score at each point, (rows, points), for each row of
    weights of the images.
    """
    aims = weights @ ours.scores.T
    curves = np.maximum.accumulate(weights @ defaults.scores.T, axis=1)  # chance makes them dip
    known = np.log(defaults.bpp)
    needed = [np.interp(aim, curve, known) for aim, curve in zip(aims, curves, strict=True)]
    return np.asarray(1 - ours.bpp / np.exp(needed), np.float64)


def _resamples(images: int) -> Iterator[F64]:
    """How often each image is drawn, (draws, images), some draws at a time."""
    random = np.random.default_rng(0)
    for _ in range(_RESAMPLES // _AT_ONCE):
        drawn = random.multinomial(images, np.full(images, 1 / images), _AT_ONCE)
        yield drawn.astype(np.float64)


def defaults_of(ours: Curve, curves: Sequence[Curve], head: str = "") -> Curve | None:
    """The curve of the same codec at its defaults, in front of the same head or of `head`."""
    if not ours.words:
        return None
    for curve in curves:
        if (curve.codec, curve.head, curve.words) == (ours.codec, head or ours.head, ""):
            return curve
    return None
