"""What is alike is computed together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from codecframe import chunks, map_threads

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


def map_alike(
    run: Callable[[list[int]], Iterable[R]], keys: Sequence[K], most: Callable[[K], int]
) -> list[R]:
    """A result for each key, in order.

    `run` is given positions of equal keys, at most `most(key)` of them, and returns a result for
    each; it runs in all threads.
    """
    alike: dict[K, list[int]] = {}
    for position, key in enumerate(keys):
        alike.setdefault(key, []).append(position)
    work = [some for key, positions in alike.items() for some in chunks(positions, most(key))]
    results: dict[int, R] = {}
    for positions, made in zip(work, map_threads(run, work), strict=True):
        results.update(zip(positions, made, strict=True))
    return [results[position] for position in range(len(keys))]
