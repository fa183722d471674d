"""Many callers, few calls: order, errors, refusal and cancellation."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from codecframe_serving.batcher import Batcher, BusyError


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


class IdleSelector(selectors.DefaultSelector):
    """Adds up the time for which nothing happened."""

    idle = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(timeout)
        if not events and timeout:
            self.idle += timeout
        return events


class TimersOnly(asyncio.SelectorEventLoop):
    """A loop whose clock counts nothing but the timers that were waited for: the load of the
    machine does not change it.
    """

    def __init__(self, selector: IdleSelector) -> None:
        self._clock = selector
        super().__init__(selector)

    def time(self) -> float:
        return self._clock.idle


def test_callers_share_calls_and_get_their_own_results() -> None:
    sizes: list[int] = []

    def work(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return [item * item for item in items]

    async def test() -> None:
        async with Batcher(work, size=8, delay=0.05) as batcher:
            found = await asyncio.gather(*(batcher.submit(i) for i in range(30)))
        assert found == [i * i for i in range(30)]

    run(test)
    assert sum(sizes) == 30 and len(sizes) < 10 and max(sizes) == 8


def test_lanes_share_what_waits_and_run_at_a_time() -> None:
    both = threading.Barrier(2)
    sizes: list[int] = []

    def work(items: list[int]) -> list[int]:
        sizes.append(len(items))
        both.wait(60)  # breaks where calls do not overlap
        return [item + 1 for item in items]

    async def test() -> None:
        async with Batcher(work, size=32, delay=0, lanes=2) as batcher:
            assert await asyncio.gather(*map(batcher.submit, range(8))) == list(range(1, 9))

    run(test)
    assert sorted(sizes) == [4, 4]


def test_a_lonely_item_waits_no_longer_than_the_delay() -> None:
    async def test() -> None:
        async with Batcher(lambda items: items, size=8, delay=0.01) as batcher:
            loop = asyncio.get_running_loop()
            start = loop.time()
            assert await batcher.submit("alone") == "alone"
            assert loop.time() - start == pytest.approx(0.01)

    with asyncio.Runner(loop_factory=lambda: TimersOnly(IdleSelector())) as runner:
        runner.run(test())


def test_errors_reach_the_items_that_they_are_of() -> None:
    def work(items: list[int]) -> list[int | Exception]:
        return [ValueError(str(item)) if item % 2 else item for item in items]

    async def test() -> None:
        async with Batcher(work) as batcher:
            found = await asyncio.gather(
                *(batcher.submit(i) for i in range(6)), return_exceptions=True
            )
        assert [str(item) for item in found] == ["0", "1", "2", "3", "4", "5"]
        assert [isinstance(item, ValueError) for item in found] == [False, True] * 3

    run(test)


def test_a_call_that_fails_fails_its_items_and_no_later_ones() -> None:
    calls = iter([RuntimeError("first"), None])

    def work(items: list[int]) -> list[int]:
        if error := next(calls):
            raise error
        return items

    async def test() -> None:
        async with Batcher(work) as batcher:
            with pytest.raises(RuntimeError, match="first"):
                await batcher.submit(1)
            assert await batcher.submit(2) == 2

    run(test)


def test_more_than_may_wait_are_refused_and_the_rest_answered_on_closing() -> None:
    started, go = threading.Event(), threading.Event()

    def work(items: list[int]) -> list[int]:
        started.set()
        go.wait(60)
        return items

    async def test() -> None:
        async with Batcher(work, size=1, depth=2) as batcher:
            first = asyncio.create_task(batcher.submit(0))
            await asyncio.to_thread(started.wait)
            waiting = [asyncio.create_task(batcher.submit(i)) for i in (1, 2)]
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match="2 requests wait"):
                await batcher.submit(3)
            asyncio.get_running_loop().call_later(0.02, go.set)
        with pytest.raises(BusyError):
            await first
        for task in waiting:
            with pytest.raises(BusyError):
                await task

    run(test)


def test_who_gave_up_is_not_worked_for() -> None:
    seen: list[str] = []
    started, go = threading.Event(), threading.Event()

    def work(items: list[str]) -> list[str]:
        seen.extend(items)
        started.set()
        go.wait(60)
        return items

    async def test() -> None:
        async with Batcher(work, size=1) as batcher:
            first = asyncio.create_task(batcher.submit("first"))
            await asyncio.to_thread(started.wait)
            gone = asyncio.create_task(batcher.submit("gone"))
            last = asyncio.create_task(batcher.submit("last"))
            await asyncio.sleep(0)
            gone.cancel()
            go.set()
            assert await first == "first" and await last == "last"

    run(test)
    assert seen == ["first", "last"]
