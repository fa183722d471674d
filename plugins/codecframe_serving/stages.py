"""An image's way through a server: decoded beside others, then predicted with others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codecframe import Prediction, limit_threads
from codecframe_serving.batcher import Batcher, BusyError
from codecframe_serving.room import Room
from codecframe_serving.worker import Job, Worker


class Stages:
    """Decodes on all cores while the head predicts; used as an asynchronous context.

    Args:
        worker: decodes and predicts.
        size: images of one call of the head, at most.
        delay: seconds that an image waits for others.
        depth: images that may wait; more are refused.
        memory: bytes of decoded images at a time; others wait until there is room.
        called: told how many images a call of the head has.
    """

    def __init__(
        self,
        worker: Worker,
        *,
        size: int = 32,
        delay: float = 0.002,
        depth: int = 512,
        memory: int = 1 << 29,
        called: Callable[[int], None] = lambda images: None,
    ) -> None:
        self._worker = worker
        self._called = called
        self._most = depth + size
        self._under_way = 0
        self._at_head = 0
        self._room = Room(memory)
        self._decoding: Batcher[Job, Any] = Batcher(
            self._decoded, size=size, delay=0, depth=self._most, lanes=worker.lanes
        )
        self._predicting: Batcher[Any, Prediction] = Batcher(
            self._predicted, size=size, delay=delay, depth=self._most
        )

    async def __aenter__(self) -> Stages:
        await self._predicting.__aenter__()
        await self._decoding.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._decoding.__aexit__(*error)
        await self._predicting.__aexit__(*error)

    @property
    def waiting(self) -> int:
        """Images that wait, to be decoded or for the head."""
        return self._under_way - self._at_head

    async def submit(self, job: Job) -> Prediction:
        """The prediction for one image.

        Raises:
            BusyError: at once, if too many wait already.
            CodecframeError: what is wrong with the image, or with the head.
        """
        if self._under_way >= self._most:
            raise BusyError(f"{self.waiting} requests wait already")
        self._under_way += 1
        try:
            async with self._room.waited_for(self._worker.weight(job)) as claim:
                decoded = await self._decoding.submit(job)
                claim.shrink(getattr(getattr(decoded, "values", decoded), "nbytes", claim.size))
                return await self._predicting.submit(decoded)
        finally:
            self._under_way -= 1

    def _decoded(self, jobs: list[Job]) -> Sequence[Any]:
        with limit_threads(1):  # the other cores have lanes of their own
            return self._worker.decode(jobs)

    def _predicted(self, decoded: list[Any]) -> Sequence[Prediction | Exception]:
        self._called(len(decoded))
        self._at_head = len(decoded)
        try:
            return self._worker.predict(decoded)
        finally:
            self._at_head = 0
