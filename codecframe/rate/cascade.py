"""From what confidence on a head on the device answers by itself, so that a promise is kept.

Of what it is sure of, the device sends no more than the answer; the rest is encoded, for the head
behind the link. The lower the confidence that is asked for, the less travels. Confidences are
tested from the safest on (nothing is answered on the device) down a fixed scale, until the first
at which it is not sure that enough is kept: fixed-sequence testing, see
`codecframe.core.guarantees` and "Learn then Test" (Angelopoulos et al., AoAS 2025).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from codecframe.core import guarantees
from codecframe.core.errors import BudgetError
from codecframe.rate.keep import Keep, Outcomes

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SCALE: tuple[float, ...] = (math.inf, *(1 - np.geomspace(1e-6, 1.0, 61)).round(9).tolist())
"""Confidences that are tested, the safest first: finer towards 1, where networks mostly are."""
_PRICES = np.geomspace(1e3, 1e-3, 60)


def together(here: BoolArray, device: Outcomes, fallback: Outcomes) -> Outcomes:
    """What a cascade makes of images.

    Args:
        here: which are answered on the device, (images,).
        device: what the head on the device makes of all of them.
        fallback: what the head behind the link does.
    """

    def either(ours: FloatArray | None, theirs: FloatArray | None) -> FloatArray | None:
        return None if ours is None or theirs is None else np.where(here, ours, theirs)

    return Outcomes(
        either(device.agreement, fallback.agreement),
        either(device.score, fallback.score),
        fallback.uncompressed,
    )


def sure_from(
    confidence: FloatArray, device: Outcomes, keep: Keep, fallback: Outcomes | None = None
) -> float:
    """The lowest confidence from which on a head on the device may answer by itself.

    The chance that the cascade then keeps less than was promised, of images like these, is at most
    1 - `keep.confidence`.

    Args:
        confidence: of the head on the device, `float64`, (images,); see `TaskHead.confidence`.
        device: what it makes of the images.
        keep: what must stay right.
        fallback: what the head behind the link makes of them, as they arrive there; None: it is
            what the promise is measured by, and agrees with itself.

    Returns:
        From 0 to 1; infinite where the head on the device must not answer at all.

    Raises:
        BudgetError: if the images do not show that it is kept even where all of them travel.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> confidence = rng.random(2000)
        >>> right = (rng.random(2000) < 0.5 + confidence / 2).astype(float)
        >>> sure = cf.sure_from(confidence, cf.Outcomes(right), cf.Keep("95%"))
        >>> 0.4 < sure < 0.8
        True
    """
    if fallback is None:
        fallback = Outcomes(np.ones(len(confidence)))
    p_values = (keep.p_value(together(confidence >= sure, device, fallback)) for sure in SCALE)
    found = guarantees.sequence(p_values, keep.error)
    if not found:
        raise BudgetError(
            f"{len(confidence)} images do not show that {keep.text} is kept where all travel"
        )
    return SCALE[found - 1]


def attempts(
    confidence: FloatArray,
    answer: FloatArray,
    sizes: FloatArray,
    device: Outcomes,
    fallback: Sequence[Outcomes],
    keep: Keep,
) -> list[tuple[float, int]]:
    """What could be tried, the safest first: from what confidence on the device answers, and which
    level the rest is encoded at.

    It leads from all images at the last level, one notch at a time, through what costs least where
    what is kept has a price; the price falls. Images that said this must not be used for a claim.

    Args:
        confidence: of the head on the device, (images,).
        answer: bytes of its answers, (images,).
        sizes: counted bytes of each image at each level, (images, levels).
        device: what the head on the device makes of the images.
        fallback: what the head behind the link makes of them, for each level.
        keep: what must stay right.
    """
    answered = np.array([(confidence >= sure).sum() for sure in SCALE])
    scale = [SCALE[i] for i in np.unique(answered, return_index=True)[1]]
    cost, kept = np.zeros((2, len(scale), len(fallback)))
    for i, sure in enumerate(scale):
        here = confidence >= sure
        cost[i] = np.where(here[:, None], answer[:, None], sizes).mean(axis=0) / sizes.mean()
        kept[i] = [keep.value(together(here, device, each)) for each in fallback]
    places = [(0, len(fallback) - 1)]
    for price in _PRICES:
        i, level = np.unravel_index((cost - price * kept).argmin(), cost.shape)
        places += _notches(places[-1], (int(i), int(level)))
    found = places[:1]
    for place in places:
        if cost[place] < cost[found[-1]]:
            found.append(place)
    return [(scale[i], level) for i, level in found]


def _notches(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """The places after the first on a straight way to the last."""
    n = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    ways = np.linspace(start, end, n + 1).round().astype(int)[1:]
    return [(int(i), int(level)) for i, level in ways]
