"""Fits the integer context model of one rate level to latents, by counting."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe_vae.entropy.context import I8, REACH, ContextArrays, ContextModel, shifted
from codecframe_vae.entropy.rangecoder import I64, TOTAL, U8, U16

F64 = npt.NDArray[np.float64]

CLASSES = 32
"""Classes of predictions, per phase and channel."""
TABLES = 192
"""Frequency tables that all classes share, at most."""
_UNIT = 64
"""A weight of 1 as it is stored."""
_CHUNK = 2000
"""Images whose predictions are held at a time."""


def fit_context(latents: npt.NDArray[Any], weight: F64, groups: int) -> ContextModel:
    """The context model of rounded latents.

    Args:
        latents: integers, (n, C, height, width), of training images.
        weight: prediction weights, (2, C, C, 9), 0 where a latent is not decoded yet.
        groups: channel groups.
    """
    limit = _limits(latents)
    stored = np.clip(np.round(weight * _UNIT), -127, 127).astype(np.int8)
    alphabet = 2 * int(limit.max(initial=0)) + 1
    seen = _predictions(_uncoded(limit, stored, groups), latents)
    spread = [np.quantile(np.abs(p[::7]), 0.9995) for p, _ in seen.values() if len(p)]
    shift = max(0, int(np.ceil(np.log2(max([1.0, *spread]) / (REACH // 2 - 1)))))
    channels = len(limit)
    lut = np.zeros((2, channels, REACH), np.uint8)
    counts = np.zeros((2, channels, CLASSES, alphabet))
    for (phase, channel), (prediction, symbol) in seen.items():
        bins = shifted(prediction, shift)
        lut[phase, channel] = _classes(bins, symbol, alphabet)
        at = lut[phase, channel][bins].astype(np.int64) * alphabet + symbol
        counted = np.bincount(at, minlength=CLASSES * alphabet)
        counts[phase, channel] = counted.reshape(CLASSES, alphabet)
    frequency, row = _shared_tables(counts, limit)
    arrays = ContextArrays(limit, stored, np.array([shift], np.uint8), lut, row, frequency)
    return ContextModel(arrays, groups)


def _uncoded(limit: U8, weight: I8, groups: int) -> ContextModel:
    """A context model that predicts, with no table yet worth coding by."""
    channels, alphabet = len(limit), 2 * int(limit.max(initial=0)) + 1
    frequency = np.ones((1, alphabet), np.uint16)
    frequency[0, 0] += TOTAL - alphabet
    lut = np.zeros((2, channels, REACH), np.uint8)
    row = np.zeros((2, channels, 1), np.uint16)
    arrays = ContextArrays(limit, weight, np.zeros(1, np.uint8), lut, row, frequency)
    return ContextModel(arrays, groups)


def _limits(latents: npt.NDArray[Any], rare: float = 3e-6) -> U8:
    """Per channel the largest magnitude found in a share of at least `rare` of all places."""
    limits = np.zeros(latents.shape[1], np.uint8)
    for channel, limit in enumerate(limits):
        del limit
        magnitude = np.minimum(np.abs(latents[:, channel].ravel()), 127)
        count = np.bincount(magnitude, minlength=128)
        tail = count[::-1].cumsum()[::-1] / count.sum()
        if tail[1] >= 2e-5:
            limits[channel] = np.flatnonzero(tail >= rare).max()
    return limits


def _predictions(
    model: ContextModel, latents: npt.NDArray[Any]
) -> dict[tuple[int, int], tuple[npt.NDArray[np.float32], I64]]:
    """(predictions, symbols) of each phase and sent channel, over all images."""
    found: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for at in range(0, len(latents), _CHUNK):
        part = model.clip(latents[at : at + _CHUNK])
        for phase, channels, prediction, symbol in model.predictions(part):
            for i, channel in enumerate(channels.tolist()):
                found[phase, channel].append((prediction[:, i].ravel(), symbol[:, i].ravel()))
    return {
        key: (np.concatenate([p for p, _ in parts]), np.concatenate([s for _, s in parts]))
        for key, parts in found.items()
    }


def _classes(bins: I64, symbol: I64, alphabet: int) -> U8:
    """Look-up table, (REACH,), of the best runs of `bins` for coding `symbol`."""
    sample = bins[:: max(1, len(bins) // 200_000)]
    shares = np.linspace(0, 1, 3 * CLASSES)[1:-1]
    edges = np.unique(np.quantile(sample, shares, method="nearest"))
    fine = np.searchsorted(edges, np.arange(REACH), side="right").astype(np.int64)
    counts = np.bincount(fine[bins] * alphabet + symbol, minlength=(len(edges) + 1) * alphabet)
    return _merge_neighbours(counts.reshape(-1, alphabet).astype(np.float64))[fine]


def _merge_neighbours(counts: F64) -> U8:
    """Class of each of the ordered bins: always the adjacent pair that costs fewest bits merges."""
    members = [[i] for i in range(len(counts))]
    groups = list(counts)
    cost = [float(_entropy_bits(group)) for group in groups]
    joint = [float(_entropy_bits(a + b)) for a, b in pairwise(groups)]
    while len(groups) > CLASSES:
        i = int(np.argmin([joint[k] - cost[k] - cost[k + 1] for k in range(len(joint))]))
        members[i] += members.pop(i + 1)
        groups[i] = groups[i] + groups.pop(i + 1)
        cost[i : i + 2] = [joint.pop(i)]
        for k in (i - 1, i):
            if 0 <= k < len(joint):
                joint[k] = float(_entropy_bits(groups[k] + groups[k + 1]))
    classes = np.zeros(len(counts), np.uint8)
    for number, bins in enumerate(members):
        classes[bins] = number
    return classes


def _entropy_bits(counts: F64) -> F64:
    """Bits to code the counted symbols with their own frequencies, over the last axis."""
    total = counts.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(counts > 0, counts * np.log2(counts), 0.0).sum(-1)
        outer = np.where(total > 0, total * np.log2(total), 0.0)
    return np.asarray(outer - inner)


def _shared_tables(counts: F64, limit: U8) -> tuple[U16, U16]:
    """(frequency tables, table of each phase, channel and class) from counted symbols."""
    _, channels, classes, alphabet = counts.shape
    rows = counts.reshape(-1, alphabet)
    shared = _cluster(rows)
    tables = int(shared.max()) + 1
    pooled = np.stack([np.bincount(shared, rows[:, s], tables) for s in range(alphabet)], 1) + 0.3
    # a symbol can occur in a table if it is within the limit of any channel that uses the table
    reach = np.repeat(np.tile(2 * limit.astype(np.int64) + 1, 2), classes)
    longest = np.zeros(tables, np.int64)
    np.maximum.at(longest, shared, reach)
    frequency = _frequencies(pooled, np.arange(alphabet) < longest[:, None])
    return frequency, shared.reshape(2, channels, classes).astype(np.uint16)


def _cluster(counts: F64, rounds: int = 12) -> I64:
    """Table of each row of `counts`, (rows,): k-means, in bits."""
    if len(counts) <= TABLES:
        return np.arange(len(counts))
    share = (counts + 0.02) / (counts + 0.02).sum(axis=1, keepdims=True)
    # start from rows ordered by how peaked they are, cut into pieces of equal bits
    skew = share[:, 1] - share[:, 2] if share.shape[1] > 2 else share[:, 0]
    order = np.lexsort((skew, -np.round(share[:, 0], 1)))
    bits = _entropy_bits(counts)[order] + 1
    shared = np.empty(len(counts), np.int64)
    shared[order] = np.minimum(np.cumsum(bits) / bits.sum() * TABLES, TABLES - 1).astype(np.int64)
    for _ in range(rounds):
        sums = [np.bincount(shared, counts[:, s], TABLES) for s in range(counts.shape[1])]
        centre = np.stack(sums, 1) + 0.05
        cost = -counts @ np.log2(centre / centre.sum(axis=1, keepdims=True)).T
        moved = cost.argmin(axis=1)
        if (moved == shared).all():
            break
        shared = moved
    return np.asarray(np.unique(shared, return_inverse=True)[1])


def _frequencies(counts: npt.NDArray[Any], allowed: npt.NDArray[np.bool_]) -> U16:
    """Integers summing to TOTAL in each row, at least 1 where allowed and 0 elsewhere."""
    share = np.where(allowed, counts, 0)
    share /= share.sum(axis=1, keepdims=True)
    frequency = np.where(allowed, np.maximum(1, np.floor(share * TOTAL)), 0).astype(np.int64)
    for row, wanted in zip(frequency, share, strict=True):
        while (gap := TOTAL - int(row.sum())) != 0:
            if gap > 0:  # give where one more saves most
                gain = np.where(row > 0, wanted * np.log2((row + 1) / np.maximum(row, 0.5)), -1)
                row[np.argsort(-gain)[: min(gap, int((row > 0).sum()))]] += 1
            else:
                smaller = np.maximum(row - 1, 0.5)
                loss = np.where(row > 1, wanted * np.log2(np.maximum(row, 1) / smaller), np.inf)
                row[np.argsort(loss)[: min(-gap, int((row > 1).sum()))]] -= 1
    return frequency.astype(np.uint16)
