"""An image's way through a server: decoded beside others, then predicted with others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from codecframe import Prediction, limit_threads
from codecframe_serving.batcher import Batcher, BusyError
from codecframe_serving.room import Room
from codecframe_serving.sandbox import DecodingEndedError
from codecframe_serving.suspects import Suspects
from codecframe_serving.worker import Job, Worker


class _NotHereError(Exception):
    """A job waited among others while its client became a suspect."""


_Sent = tuple[Job, str]
"""A job, and the network address that sent it."""


class Stages:
    """Decodes on all cores while the head predicts; used as an asynchronous context.

    Images of clients that broke decoding off lately have one lane of their own.

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
        self._suspects = Suspects()
        self._decoding: Batcher[_Sent, Any] = Batcher(
            self._decoded, size=size, delay=0, depth=self._most, lanes=worker.lanes
        )
        self._apart: Batcher[_Sent, Any] = Batcher(self._decoded_apart, size=1, delay=0)
        self._predicting: Batcher[Any, Prediction] = Batcher(
            self._predicted, size=size, delay=delay, depth=self._most
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

    async def submit(self, job: Job, client: str = "") -> Prediction:
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
            if client not in self._suspects:
                with contextlib.suppress(_NotHereError):
                    async with self._room.waited_for(self._worker.weight(job)) as claim:
                        decoded = await self._decoding.submit((job, client))
                        claim.shrink(
                            getattr(getattr(decoded, "values", decoded), "nbytes", claim.size)
                        )
                        return await self._predicting.submit(decoded)
            async with self._suspects.turn():  # one at a time: others need not leave it room
                return await self._predicting.submit(await self._apart.submit((job, client)))
        finally:
            self._under_way -= 1

    def _decoded(self, sent: list[_Sent]) -> Sequence[Any]:
        """Those of clients that became suspects meanwhile are not decoded here."""
        found: list[Any] = [_NotHereError() if who in self._suspects else None for _, who in sent]
        wanted = [number for number, item in enumerate(found) if item is None]
        decoded = self._decoded_apart([sent[number] for number in wanted])
        for number, item in zip(wanted, decoded, strict=True):
            found[number] = item
        return found

    def _decoded_apart(self, sent: list[_Sent]) -> Sequence[Any]:
        with limit_threads(1):  # the other cores have lanes of their own
            decoded = self._worker.decode([job for job, _ in sent])
        for item, (_, client) in zip(decoded, sent, strict=True):
            if isinstance(item, DecodingEndedError):
                self._suspects.add(client)
        return decoded

    def _predicted(self, decoded: list[Any]) -> Sequence[Prediction | Exception]:
        self._called(len(decoded))
        self._at_head = len(decoded)
        try:
            return self._worker.predict(decoded)
        finally:
            self._at_head = 0
