"""What all clients of a server share: one queue before one worker, and what is counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from codecframe import PIXELS, DataError, LimitError, SettingsError, TaskPrediction
from codecframe_serving import logs
from codecframe_serving.admission import Admission
from codecframe_serving.asking import Rule
from codecframe_serving.audit import Audit
from codecframe_serving.batcher import Batching, BusyError
from codecframe_serving.dashboard import Watch
from codecframe_serving.decoding import GREY, file_of
from codecframe_serving.limits import Limits
from codecframe_serving.metrics import Metrics
from codecframe_serving.protocol import Status
from codecframe_serving.replicas import Replicas
from codecframe_serving.room import Claim, Room
from codecframe_serving.stages import Stages
from codecframe_serving.worker import Job, Worker

if TYPE_CHECKING:
    from codecframe_serving.stream import Stream

_FAILURE_SECONDS = 1.0
"""Between two lines in the log that say that the head failed."""


class Service:
    """A worker with its queue; used as an asynchronous context.

    Args:
        worker: decodes and predicts.
        limits: of clients.
        batching: of their images.
        token: what clients must bring, or None.
        replicas: what predicts in place of the worker, which then serves for all else.
        hosts: names that the server is called by, as `Guard` takes them.
        rules: when cameras are asked for pictures.
    """

    def __init__(
        self,
        worker: Worker,
        limits: Limits | None = None,
        batching: Batching | None = None,
        token: str | None = None,
        replicas: Replicas | None = None,
        hosts: Iterable[str] = (),
        rules: Sequence[Rule] = (),
    ) -> None:
        self.rules = rules
        self.streams: dict[str, Stream] = {}
        """Those that are open, by name."""
        self.worker = worker
        self.limits = limits or Limits()
        self.guard = Admission(self.limits, token, hosts)
        half = self.limits.memory // 2
        self.room = Room(half)
        """For images as they come, from their first byte to their answer."""
        self.audit = Audit(worker.head)
        self.metrics = Metrics(
            lambda: self._queue.waiting, lambda: self.guard.clients, self.audit.state
        )
        self._queue: Stages | Replicas = replicas or Stages(
            worker, batching or Batching(), memory=half, called=self.metrics.called
        )
        self._silent_until = 0.0
        self.on_drain: set[Callable[[], None]] = set()
        """Called when the service drains: what ends clients that would stay."""
        self.watch = Watch(worker.picture, self._state, worker.head)

    async def __aenter__(self) -> Service:
        await self._queue.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._queue.__aexit__(*error)
        await asyncio.to_thread(self.worker.close)

    async def predict(self, job: Job, claim: Claim, client: str = "") -> TaskPrediction:
        """The prediction for one image.

        Args:
            job: the image.
            claim: on the room that it takes as it came; grown to that here.
            client: the network address that sent it.

        Raises:
            BusyError: if too many wait already, or there is no memory for it.
            CodecframeError: what is wrong with the image, or with the head.
        """
        self.metrics.came(job.codec.name if job.codec else None, len(job.data))
        claim.grow(max(len(job.data) - claim.size, 0))
        try:
            return await self._queue.submit(job, client)
        except Exception as error:
            if status_of(error) is Status.FAILED:
                self._note_failure(error)
            raise

    def _state(self) -> dict[str, Any]:
        return {
            "head": self.worker.head.name,
            "clients": self.guard.clients,
            "waiting": self._queue.waiting,
            "audit": self.audit.state(),
        }

    async def drain(self) -> None:
        """Let nobody in any more, and return when all who are in were served."""
        self.guard.closing = True
        for end in list(self.on_drain):
            end()
        while self.guard.clients:
            await asyncio.sleep(0.01)

    def warm_up(self) -> None:
        """Load the model by a prediction, so that what is wrong with it shows before any client.

        Raises:
            CodecframeError: if the head fails.
        """
        self.worker.open()
        if self.worker.head.accepts == PIXELS:
            job = Job(file_of(GREY))
        else:  # the codec's networks and its compiled coder, in each process that decodes
            codec = next(iter(self.worker.codecs.values()))
            job = Job(codec.encode(self.worker.head.prepare(GREY)), codec)
        for _ in range(1 if job.codec is None else self.worker.lanes + 1):
            (result,) = self.worker.run([job])
            if isinstance(result, Exception):
                raise result

    def _note_failure(self, error: Exception) -> None:
        """Log it, once a second at most: one of a call is enough to know."""
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _FAILURE_SECONDS
            logs.event(logging.ERROR, "prediction failed", why=error)


def status_of(error: Exception) -> Status:
    """What an error at decoding or predicting means to who sent the image."""
    if isinstance(error, BusyError):
        return Status.BUSY
    if isinstance(error, (DataError, LimitError, SettingsError)):
        return Status.BAD
    return Status.FAILED
