"""Fits the integer coder of a picture's levels to quantised components, by counting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from codecframe_vae.entropy.grid import predictions
from codecframe_vae.entropy.magnitude import (
    CLASSES,
    I32,
    MagnitudeArrays,
    MagnitudeModel,
    both,
)
from codecframe_vae.entropy.rangecoder import I64
from codecframe_vae.entropy.walk import F32, I8, MOST_SUM, Walk
from codecframe_vae.training.contexts import F64, least_squares, limits, shared_tables

_UNIT = 64
"""A weight of 1 as it is stored."""
_MEASURED = 30_000
"""Sums that bounds are taken from, at most."""
_BUSIER = 0.6
"""Share of the places of a class of magnitudes that the classes above have together."""


def fit_weights(latents: I8, groups: int) -> I8:
    """Weights of predictions and of magnitudes, (2, 2, C, C, 9), of least squared error.

    Args:
        latents: quantised at a middle level, (n, C, height, width).
        groups: channel groups.
    """
    values = [latents.astype(np.float32), np.abs(latents.astype(np.float32))]
    found = np.stack([least_squares(one, groups) for one in values])
    weight = np.clip(np.round(found * _UNIT), -127, 127).astype(np.int8)
    # halve those of channels that could leave the exact range
    while ((most := 127 * np.abs(weight.astype(np.int64)).sum((3, 4))) >= MOST_SUM).any():
        weight[most >= MOST_SUM] //= 2
    return weight


def fit_level(weight: I8, latents: npt.NDArray[np.int16], groups: int) -> MagnitudeModel:
    """The coder of a level.

    Args:
        weight: as `fit_weights` gives it.
        latents: quantised at this level, (n, C, height, width), of training images.
        groups: channel groups.
    """
    limit = limits(latents)
    bound = limit.astype(np.int16)[:, None, None]
    clipped = np.clip(latents, -bound, bound).astype(np.int8)
    channels, alphabet = len(limit), 2 * int(limit.max(initial=0)) + 1
    edges: I32 = np.zeros((2, 2, channels, CLASSES - 1), np.int32)
    counts: F64 = np.zeros((2, channels, CLASSES * CLASSES, alphabet))
    walks = [Walk(one, limit, groups) for one in weight]
    sizes = len(clipped), *clipped.shape[2:]
    for phase, some, sums, symbol in predictions(both(walks, *sizes), clipped):
        for place, channel in enumerate(some):
            at: I64 = np.zeros(symbol[:, place].size, np.int64)
            for kind, values in enumerate(sums):
                flat = values[:, place].ravel()
                edges[kind, phase, channel] = _edges(flat[:: len(flat) // _MEASURED + 1], kind)
                at = at * CLASSES + np.searchsorted(edges[kind, phase, channel], flat, "right")
            at = at * alphabet + symbol[:, place].ravel()
            counted = np.bincount(at, minlength=CLASSES * CLASSES * alphabet)
            counts[phase, channel] = counted.reshape(-1, alphabet)
    frequency, row = shared_tables(counts, limit)
    shape = (2, channels, CLASSES, CLASSES)
    return MagnitudeModel(
        weight, MagnitudeArrays(limit, edges, row.reshape(shape), frequency), groups
    )


def _edges(values: F32, kind: int) -> npt.NDArray[np.float32]:
    """Bounds of classes: of as many predictions each; of magnitudes, the high ones more finely."""
    steps = np.arange(1, CLASSES)
    shares = steps / CLASSES if kind == 0 else 1 - _BUSIER**steps
    return np.ceil(np.quantile(values, shares)).astype(np.float32)
