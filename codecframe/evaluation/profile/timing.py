"""How long encoding and decoding take: an image's share of the batch that it was part of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def timed(
    run: Callable[[Iterator[T]], Iterable[R]], items: Sequence[T]
) -> tuple[list[R], list[float]]:
    """What `run` makes of the items, and microseconds an item.

    `run` yields one result an item, in order. What it reads at a time is a batch: its time is
    shared equally by its items, so that a batch during which the machine was busy with something
    else does not change the median over all.
    """
    results: list[R] = []
    times: list[float] = []
    read = 0

    def counted() -> Iterator[T]:
        nonlocal read
        for item in items:
            read += 1
            yield item

    started = time.perf_counter()
    for result in run(counted()):
        if len(results) == len(times):  # the first of a batch
            batch = max(read - len(times), 1)
            times += [1e6 * (time.perf_counter() - started) / batch] * batch
        results.append(result)
        if len(results) == len(times):
            started = time.perf_counter()
    return results, times
