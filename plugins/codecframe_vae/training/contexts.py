"""Fits the integer context model of one rate level to latents, by counting."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from codecframe_vae.entropy.context import REACH, ContextArrays, ContextModel, shifted
from codecframe_vae.entropy.grid import fold_sign
from codecframe_vae.entropy.rangecoder import I64, TOTAL, U8, U16
from codecframe_vae.entropy.walk import F32, I8

F64 = npt.NDArray[np.float64]

CLASSES = 32
"""Classes of predictions, per phase and channel."""
TABLES = 192
"""Frequency tables that all classes share, at most."""
_UNIT = 64
"""A weight of 1 as it is stored."""
_FINE = 3 * CLASSES
"""Classes that are merged until there are so many."""
_CHUNK = 250
"""Images whose predictions are held at a time."""
_SQUARES = 30_000
"""Squares that weights are fitted to, at most."""
_RIDGE = 1e-3
"""Added to second moments, relative and, squared, absolute."""


def fit_context(latents: npt.NDArray[Any], weight: F64, groups: int) -> ContextModel:
    """The context model of rounded latents.

    Args:
        latents: integers, (n, C, height, width), of training images.
        weight: prediction weights, (2, C, C, 9), 0 where a latent is not decoded yet.
        groups: channel groups.
    """
    limit = limits(latents)
    stored = np.clip(np.round(weight * _UNIT), -127, 127).astype(np.int8)
    alphabet = 2 * int(limit.max(initial=0)) + 1
    parts = [latents[at : at + _CHUNK] for at in range(0, len(latents), _CHUNK)]
    bounds = limit.astype(np.int16)[:, None, None]
    clipped = [np.clip(part, -bounds, bounds) for part in parts]
    shift = _shift(_predictions(clipped[0], stored), limit)
    seen = np.zeros((2, len(limit), REACH, alphabet))
    for part in clipped:
        for phase, (prediction, symbol) in enumerate(_by_phase(part, stored)):
            bins = shifted(prediction, shift)
            for channel in np.flatnonzero(limit):
                at = bins[channel] * alphabet + symbol[channel]
                counted = np.bincount(at, minlength=REACH * alphabet)
                seen[phase, channel] += counted.reshape(REACH, alphabet)
    classes = _classes(seen.reshape(-1, REACH, alphabet))
    counts = _pooled(seen.reshape(-1, REACH, alphabet), classes, CLASSES)
    frequency, row = shared_tables(counts.reshape(2, len(limit), CLASSES, alphabet), limit)
    lut = classes.reshape(2, len(limit), REACH).astype(np.uint8)
    arrays = ContextArrays(limit, stored, np.array([shift], np.uint8), lut, row, frequency)
    return ContextModel(arrays, groups)


def limits(latents: npt.NDArray[Any], rare: float = 3e-6) -> U8:
    """Per channel the largest magnitude found in a share of at least `rare` of all places."""
    limits = np.zeros(latents.shape[1], np.uint8)
    for channel in range(len(limits)):
        magnitude = np.minimum(np.abs(latents[:, channel].ravel()), 127)
        count = np.bincount(magnitude, minlength=128)
        tail = count[::-1].cumsum()[::-1] / count.sum()
        if tail[1] >= 2e-5:
            limits[channel] = np.flatnonzero(tail >= rare).max()
    return limits


def _predictions(latents: npt.NDArray[Any], weight: I8) -> F32:
    """What `ContextModel` predicts on all squares of either phase, (2, n, C, height, width)."""
    values = torch.from_numpy(np.ascontiguousarray(latents, np.float32))
    channels = latents.shape[1]
    kernels = torch.from_numpy(weight.astype(np.float32)).view(2, channels, channels, 3, 3)
    with torch.inference_mode():
        both = [functional.conv2d(values, kernel, padding=1) for kernel in kernels]
    return torch.stack(both).round_().numpy()


def _by_phase(latents: npt.NDArray[Any], weight: I8) -> list[tuple[F32, I64]]:
    """(predictions, symbols), (C, squares) each, of either phase."""
    y, x = (np.arange(side) for side in latents.shape[2:])
    odd = (y[:, None] + x) % 2 == 1
    symbols = fold_sign(latents).transpose(1, 0, 2, 3)
    predicted = _predictions(latents, weight).transpose(0, 2, 1, 3, 4)
    channels = latents.shape[1]
    return [
        (
            predicted[phase][:, :, at].reshape(channels, -1),
            symbols[:, :, at].reshape(channels, -1).astype(np.int64),
        )
        for phase, at in enumerate((~odd, odd))
    ]


def _shift(predictions: F32, limit: U8) -> int:
    """Bits to leave out of predictions, so that all but the rarest are within a table's reach."""
    some = np.abs(predictions[:, ::7, limit > 0])
    spread = np.quantile(some, 0.9995, axis=(1, 3, 4)) if some.size else np.ones(1)
    return max(0, int(np.ceil(np.log2(max(1.0, float(spread.max())) / (REACH // 2 - 1)))))


def _classes(seen: F64) -> I64:
    """Class of each shifted prediction, (rows, REACH): the best runs of them for coding.

    Args:
        seen: how often each symbol came with each prediction, (rows, REACH, alphabet).
    """
    total = seen.sum(2)
    before = total.cumsum(1) - total / 2
    share = before / np.maximum(total.sum(1, keepdims=True), 1)
    fine = np.minimum((share * _FINE).astype(np.int64), _FINE - 1)
    merged = _merge_neighbours(_pooled(seen, fine, _FINE))
    return np.take_along_axis(merged, fine, 1)


def _pooled(seen: F64, to: I64, count: int) -> F64:
    """Counts, (rows, count, alphabet), of predictions that have the same number in `to`, (rows,
    REACH).
    """
    rows, reach, alphabet = seen.shape
    at = (np.arange(rows)[:, None] * count + to).ravel()
    order = np.argsort(at, kind="stable")
    starts = np.flatnonzero(np.diff(at[order], prepend=-1))
    pooled = np.zeros((rows * count, alphabet))
    pooled[at[order][starts]] = np.add.reduceat(seen.reshape(rows * reach, alphabet)[order], starts)
    return pooled.reshape(rows, count, alphabet)


def _merge_neighbours(counts: F64) -> I64:
    """Class of each of the ordered bins, (rows, bins): in every row, always the adjacent pair that
    costs fewest bits merges, until there are `CLASSES`.
    """
    rows, bins, _ = counts.shape
    row = np.arange(rows)
    groups = counts
    first = np.tile(np.arange(bins), (rows, 1))  # the first bin of each group
    cost, joint = _entropy_bits(groups), _entropy_bits(groups[:, :-1] + groups[:, 1:])
    for left in range(bins, CLASSES, -1):
        at = np.argmin(joint - cost[:, :-1] - cost[:, 1:], axis=1)
        rest = np.arange(left - 1) + (np.arange(left - 1) > at[:, None])
        merged = groups[row, at] + groups[row, at + 1]
        groups = groups[row[:, None], rest]
        groups[row, at] = merged
        first, cost = first[row[:, None], rest], cost[row[:, None], rest]
        cost[row, at] = joint[row, at]
        pairs = np.arange(left - 2)
        joint = joint[row[:, None], pairs + (pairs >= at[:, None])]
        for beside in (at - 1, at):
            inside = (beside >= 0) & (beside < left - 2)
            r, b = row[inside], beside[inside]
            joint[r, b] = _entropy_bits(groups[r, b] + groups[r, b + 1])
    starts = np.zeros((rows, bins), np.int64)
    starts[row[:, None], first[:, 1:]] = 1
    return np.asarray(starts.cumsum(1))


def least_squares(latents: npt.NDArray[Any], groups: int) -> F64:
    """Prediction weights, (2, C, C, 9), of least squared error, from rounded latents.

    Each group is predicted from the neighbourhoods of those before it, the odd squares of the
    checkerboard also from the even ones beside them. All systems of equations are parts of one: the
    second moments of neighbourhoods are the same everywhere.
    """
    channels = latents.shape[1]
    per = channels // groups
    values = torch.from_numpy(np.ascontiguousarray(latents, np.float32))
    around = functional.unfold(values, 3, padding=1).transpose(1, 2).reshape(-1, 9 * channels)
    around = around[:: max(1, len(around) // _SQUARES)]
    moments = (around.T @ around / len(around)).double().numpy()
    moments[np.diag_indices_from(moments)] *= 1 + _RIDGE
    moments[np.diag_indices_from(moments)] += _RIDGE * _RIDGE
    taps = np.arange(9 * channels).reshape(channels, 9)
    weight = np.zeros((2, channels, channels * 9))
    for group in range(groups):
        own = taps[group * per : (group + 1) * per]
        earlier = taps[: group * per].ravel()
        for phase, given in enumerate((earlier, np.concatenate([earlier, own[:, 1::2].ravel()]))):
            if len(given):
                best = np.linalg.solve(
                    moments[np.ix_(given, given)], moments[np.ix_(given, own[:, 4])]
                )
                weight[phase, group * per : (group + 1) * per][:, given] = best.T
    return weight.reshape(2, channels, channels, 9)


def _entropy_bits(counts: F64) -> F64:
    """Bits to code the counted symbols with their own frequencies, over the last axis."""
    total = counts.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(counts > 0, counts * np.log2(counts), 0.0).sum(-1)
        outer = np.where(total > 0, total * np.log2(total), 0.0)
    return np.asarray(outer - inner)


def shared_tables(counts: F64, limit: U8) -> tuple[U16, U16]:
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
