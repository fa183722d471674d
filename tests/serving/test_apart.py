"""One client's images that hang decoders: others are not kept waiting by them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import toys

from codecframe_serving.apart import Apart
from codecframe_serving.batcher import Batching
from codecframe_serving.room import BusyError
from codecframe_serving.sandbox import DecodingEndedError, LaterError
from codecframe_serving.stages import Stages
from codecframe_serving.worker import Job, Worker

GOOD, BOMB, SLOW = Job(b"good"), Job(b"bomb"), Job(b"slow")


class HeldWorker(Worker):
    """Bombs and slow images are decoded until one is released; bombs come to nothing."""

    def __init__(self) -> None:
        super().__init__(toys.BrightnessHead(), [toys.ToyCodec()])
        self.lanes = 2
        self.free = threading.Semaphore(0)

    def decode(
        self,
        jobs: Sequence[Job],
        slow: Callable[[int], None] | None = None,
        *,
        apart: bool = False,
    ) -> list[Any]:
        found: list[Any] = []
        for number, job in enumerate(jobs):
            if found and SLOW in jobs[:number]:
                found.append(LaterError())
                continue
            if job in (BOMB, SLOW):
                assert self.free.acquire(timeout=60)
            if job == SLOW and slow:
                slow(number)
            ended = DecodingEndedError("image", "takes too long")
            found.append(ended if job == BOMB else toys.picture(1))
        return found


def test_others_do_not_wait_for_the_images_of_a_suspect() -> None:
    async def run() -> None:
        worker = HeldWorker()
        async with Stages(worker, Batching(delay=0), memory=1) as stages:
            worker.free.release()
            with pytest.raises(DecodingEndedError):
                await stages.submit(BOMB, "1.2.3.4")
            bombs = [asyncio.create_task(stages.submit(BOMB, "1.2.3.4")) for _ in range(8)]
            await asyncio.sleep(0.05)
            for _ in range(5):
                await asyncio.wait_for(stages.submit(GOOD, "1.2.3.5"), 50)
            assert not any(bomb.done() for bomb in bombs)
            worker.free.release(20)
            found = await asyncio.gather(*bombs, return_exceptions=True)
            assert all(isinstance(one, DecodingEndedError) for one in found)
            await stages.submit(GOOD, "1.2.3.4")  # apart, but served

    asyncio.run(run())


def test_what_waited_before_its_client_was_a_suspect_leaves_the_queue() -> None:
    async def run() -> None:
        worker = HeldWorker()
        async with Stages(worker, Batching(size=1, delay=0)) as stages:
            bombs = [asyncio.create_task(stages.submit(BOMB, "1.2.3.4")) for _ in range(20)]
            good = [asyncio.create_task(stages.submit(GOOD, "1.2.3.5")) for _ in range(5)]
            worker.free.release(2)  # one in each lane
            await asyncio.wait_for(asyncio.gather(*good), 50)
            assert not all(bomb.done() for bomb in bombs)
            worker.free.release(20)
            await asyncio.gather(*bombs, return_exceptions=True)

    asyncio.run(run())


def test_others_do_not_wait_for_slow_images_of_which_many_are_decoded() -> None:
    async def run() -> None:
        worker = HeldWorker()
        async with Stages(worker, Batching(delay=0), memory=1) as stages:
            worker.free.release(9)
            await asyncio.gather(*(stages.submit(SLOW, "1.2.3.4") for _ in range(9)))
            slow = [asyncio.create_task(stages.submit(SLOW, "1.2.3.4")) for _ in range(8)]
            await asyncio.sleep(0.05)
            for _ in range(5):
                await asyncio.wait_for(stages.submit(GOOD, "1.2.3.5"), 50)
            assert not any(one.done() for one in slow)
            worker.free.release(20)
            await asyncio.gather(*slow)

    asyncio.run(run())


def test_of_those_apart_only_some_wait_and_not_for_ever() -> None:
    async def run() -> None:
        apart = Apart(1e-9, 1, 31)
        apart.add("1.2.3.4")
        assert "1.2.3.4" not in apart
        apart = Apart(600, 1, 31)
        for number in range(5000):
            apart.add(str(number))
        assert "4999" in apart and "0" not in apart

        async def wait() -> None:
            async with apart.place():
                await asyncio.sleep(0)

        found = await asyncio.gather(*(wait() for _ in range(100)), return_exceptions=True)
        assert sum(isinstance(one, BusyError) for one in found) == 68
        await wait()

    asyncio.run(run())
