"""Ordered maps over threads: the codec libraries release the GIL, so threads use all cores."""

from __future__ import annotations

import contextvars
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_threads: ContextVar[int | None] = ContextVar("codecframe_threads", default=None)


@contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """Set how many threads `map_threads` uses for the code inside the `with` block.

    Examples:
        >>> with cf.limit_threads(1):
        ...     datas = cf.get_codec("png").encode_many([photo, photo])
    """
    token = _threads.set(count)
    try:
        yield
    finally:
        _threads.reset(token)


def cpu_count() -> int:
    """Cores this process may use (`limit_threads` and `CODECFRAME_THREADS` override it).

    Examples:
        >>> with cf.limit_threads(2):
        ...     cf.cpu_count()
        2
    """
    limit = _threads.get()
    if limit is not None:
        return limit
    text = os.environ.get("CODECFRAME_THREADS", "")
    if text.isdecimal() and int(text) > 0:
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_cores() -> int:
    """Cores that other programs leave: from 1 to `cpu_count()`, by the load of the last minute.

    `limit_threads` and `CODECFRAME_THREADS` override it.
    """
    if _threads.get() is not None or os.environ.get("CODECFRAME_THREADS"):
        return cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1, cpu_count() - round(load))


def share_cores() -> None:
    """Let numerical libraries that are imported from now on leave cores to others.

    By default each takes all cores, and its threads keep them busy while they wait for each other:
    where cores are few or busy, that takes several times as long as one thread. What the user has
    set stays.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(free_cores()))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def peak_memory() -> int | None:
    """Bytes that this process held at most; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="codecframe")


def forget_after_fork(forget: Callable[[], object]) -> None:
    """Call `forget` in every child of `os.fork`.

    Threads do not survive a fork: what a process keeps that has some, a pool say, must be made
    anew in a child, where its first use would wait for ever.
    """
    if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
        os.register_at_fork(after_in_child=forget)


def _torch_in_one_thread() -> None:
    """torch's own threads are lost, too, and it does not notice: do as its DataLoader's workers."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


forget_after_fork(_pool.cache_clear)
forget_after_fork(_torch_in_one_thread)


def map_threads(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`[function(item) for item in items]` on all cores, in order.

    Items travel to the threads in runs, since one small image costs less than one hand-over.
    `function` must be thread-safe; where it calls `map_threads` itself, that runs in its thread.

    Examples:
        >>> cf.map_threads(np.mean, [np.ones(3), np.zeros(3)]) == [1, 0]
        True
    """
    work = list(items)
    workers = min(cpu_count(), len(work)) if len(work) > 1 else 1
    if workers <= 1:
        return [function(item) for item in work]
    size = max(1, min(64, len(work) // (4 * workers)))
    runs = list(chunks(work, size))

    def do(run: list[T]) -> list[R]:
        with limit_threads(1):
            return [function(item) for item in run]

    futures = [_pool(cpu_count()).submit(contextvars.copy_context().run, do, run) for run in runs]
    try:
        return [result for future in futures for result in future.result()]
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of at most `size` items; never reads beyond the list it yields.

    Examples:
        >>> list(cf.chunks(range(5), 2))
        [[0, 1], [2, 3], [4]]
    """
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
