"""An image's way through a server: decoded beside others, then predicted with others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from codecframe import TaskPrediction, limit_threads
from codecframe_serving.apart import Apart
from codecframe_serving.batcher import Batcher, Batching, BusyError
from codecframe_serving.room import Room
from codecframe_serving.sandbox import DecodingEndedError, LaterError
from codecframe_serving.worker import Job, Worker

_SLOW_SECONDS = 60.0
"""For which the images of an address are decoded apart after one of them took long."""
_ENDED_SECONDS = 600.0
"""The same after one of them took too long, or broke decoding off: those one by one."""
_ENDED_WAITING = 32

_Sent = tuple[Job, str]
"""A job, and the network address that sent it."""


class Stages:
    """Decodes on all cores while the head predicts; used as an asynchronous context.

    Images of clients whose images took long lately have lanes of their own, and those of clients
    whose images broke decoding off one of these: there is always a lane that others get soon.

    Args:
        worker: decodes and predicts.
        batching: how images are gathered.
        memory: bytes of decoded images at a time; others wait until there is room.
        called: told how many images a call of the head has.
    """

    def __init__(
        self,
        worker: Worker,
        batching: Batching,
        *,
        memory: int = 1 << 29,
        called: Callable[[int], None] = lambda images: None,
    ) -> None:
        self._worker = worker
        self._called = called
        self._most = batching.depth + batching.size
        self._under_way = 0
        self._at_head = 0
        self._room = Room(memory)
        self._slow = Apart(_SLOW_SECONDS, worker.lanes, self._most // 2)
        self._ended = Apart(_ENDED_SECONDS, 1, _ENDED_WAITING)
        self._decoding: Batcher[_Sent, Any] = Batcher(
            self._decoded, size=batching.size, delay=0, depth=self._most, lanes=worker.lanes
        )
        self._apart: Batcher[_Sent, Any] = Batcher(
            self._decoded_of, size=1, delay=0, lanes=worker.lanes
        )
        self._predicting: Batcher[Any, TaskPrediction] = Batcher(
            self._predicted, size=batching.size, delay=batching.delay, depth=self._most
        )

    async def __aenter__(self) -> Stages:
        await self._predicting.__aenter__()
        await self._decoding.__aenter__()
        await self._apart.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._apart.__aexit__(*error)
        await self._decoding.__aexit__(*error)
        await self._predicting.__aexit__(*error)

    @property
    def waiting(self) -> int:
        """Images that wait, to be decoded or for the head."""
        return self._under_way - self._at_head

    async def submit(self, job: Job, client: str = "") -> TaskPrediction:
        """The prediction for one image.

        Args:
            job: the image.
            client: the network address that sent it.

        Raises:
            BusyError: at once, if too many wait already.
            CodecframeError: what is wrong with the image, or with the head.
        """
        if self._under_way >= self._most:
            raise BusyError(f"{self.waiting} requests wait already")
        self._under_way += 1
        try:
            while True:
                with contextlib.suppress(LaterError):
                    return await self._once(job, client)
        finally:
            self._under_way -= 1

    async def _once(self, job: Job, client: str) -> TaskPrediction:
        """The prediction.

        Raises:
            LaterError: if the job is to be submitted again.
        """
        for noted in (self._ended, self._slow):
            if client in noted:  # so few at a time that others need not leave them room
                async with noted.place():
                    return await self._predicting.submit(await self._apart.submit((job, client)))
        async with self._room.waited_for(self._worker.weight(job)) as claim:
            decoded = await self._decoding.submit((job, client))
            claim.shrink(getattr(getattr(decoded, "values", decoded), "nbytes", claim.size))
            return await self._predicting.submit(decoded)

    def _decoded(self, sent: list[_Sent]) -> Sequence[Any]:
        """Those of clients that were noted while they waited here are decoded later, apart."""
        found: list[Any] = [
            LaterError() if who in self._slow or who in self._ended else None for _, who in sent
        ]
        wanted = [number for number, item in enumerate(found) if item is None]
        decoded = self._decoded_of([sent[number] for number in wanted], apart=False)
        for number, item in zip(wanted, decoded, strict=True):
            found[number] = item
        return found

    def _decoded_of(self, sent: list[_Sent], *, apart: bool = True) -> Sequence[Any]:
        with limit_threads(1):  # the other cores have lanes of their own
            decoded = self._worker.decode(
                [job for job, _ in sent],
                slow=lambda number: self._slow.add(sent[number][1]),
                apart=apart,
            )
        for item, (_, client) in zip(decoded, sent, strict=True):
            if isinstance(item, DecodingEndedError):
                self._ended.add(client)
        return decoded

    def _predicted(self, decoded: list[Any]) -> Sequence[TaskPrediction | Exception]:
        self._called(len(decoded))
        self._at_head = len(decoded)
        try:
            return self._worker.predict(decoded)
        finally:
            self._at_head = 0
