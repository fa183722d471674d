"""Requests of many clients gathered into calls, in threads, with bounded waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from codecframe_serving.room import BusyError

__all__ = ["Batcher", "Batching", "BusyError"]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Batching:
    """How images of many clients are gathered.

    Attributes:
        size: images of one call of the head, at most.
        delay: seconds that an image waits for others.
        depth: images that may wait; more are refused.
    """

    size: int = 32
    delay: float = 0.002
    depth: int = 512


@dataclass
class _Waiting(Generic[T, R]):
    item: T
    answer: asyncio.Future[R]


class Batcher(Generic[T, R]):
    """Runs `work` on what several callers submit, as many items at a time as there are.

    As many calls as there are lanes run at a time, each in a thread of its own; what arrives
    meanwhile is the next batch. Started and closed as an asynchronous context.

    Args:
        work: takes items, gives one result or exception for each, in order.
        size: items of one call, at most.
        delay: seconds that a lonely item waits for others.
        depth: items that may wait; more are refused.
        lanes: calls at a time; they share what waits.
    """

    def __init__(
        self,
        work: Callable[[list[T]], Sequence[R | Exception]],
        *,
        size: int = 32,
        delay: float = 0.002,
        depth: int = 256,
        lanes: int = 1,
    ) -> None:
        self._work = work
        self._size = size
        self._delay = delay
        self._lanes = lanes
        self._queue: asyncio.Queue[_Waiting[T, R]] = asyncio.Queue(depth)
        self._threads = ThreadPoolExecutor(lanes, thread_name_prefix="codecframe-batch")
        self._tasks: list[asyncio.Task[None]] = []
        self._running = 0

    async def __aenter__(self) -> Batcher[T, R]:
        self._tasks = [asyncio.create_task(self._run()) for _ in range(self._lanes)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Refuses what waits, after the calls that run have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._queue.empty():
            _settle(self._queue.get_nowait(), BusyError("the server is shutting down"))
        self._threads.shutdown()

    @property
    def waiting(self) -> int:
        """Items that wait for their call."""
        return self._queue.qsize()

    async def submit(self, item: T) -> R:
        """The result for one item.

        Raises:
            BusyError: at once, if too many wait already.
            Exception: what the call gave for this item.
        """
        waiting: _Waiting[T, R] = _Waiting(item, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise BusyError(f"{self._queue.maxsize} requests wait already") from None
        return await waiting.answer

    async def _run(self) -> None:
        while True:
            batch = await self._gather()
            wanted = [waiting for waiting in batch if not waiting.answer.done()]  # not cancelled
            if not wanted:
                continue
            items = [waiting.item for waiting in wanted]
            loop = asyncio.get_running_loop()
            call = loop.run_in_executor(self._threads, self._work, items)
            self._running += 1
            try:
                results: Sequence[R | Exception] = await asyncio.shield(call)
            except asyncio.CancelledError:
                await asyncio.wait([call])
                _settle_all(wanted, BusyError("the server is shutting down"))
                raise
            except Exception as error:  # of the call as a whole: no result for anyone
                _settle_all(wanted, error)
                continue
            finally:
                self._running -= 1
            for waiting, result in zip(wanted, results, strict=True):
                _settle(waiting, result)

    async def _gather(self) -> list[_Waiting[T, R]]:
        """The next batch: at least one item, more if they come within the delay."""
        batch = [await self._queue.get()]
        idle = max(self._lanes - self._running, 1)
        most = self._size
        if idle > 1:  # the others get their share of what waits
            most = min(most, -(-(1 + self._queue.qsize()) // idle))
        try:
            async with asyncio.timeout(self._delay):
                while len(batch) < most:
                    batch.append(await self._queue.get())
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            _settle_all(batch, BusyError("the server is shutting down"))
            raise
        return batch


def _settle(waiting: _Waiting[T, R], result: R | Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(result, Exception):
        waiting.answer.set_exception(result)
    else:
        waiting.answer.set_result(result)


def _settle_all(batch: list[_Waiting[T, R]], error: Exception) -> None:
    for waiting in batch:
        _settle(waiting, error)
