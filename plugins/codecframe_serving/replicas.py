"""The worker as replicas on a Ray cluster: Ray Serve spreads the images and batches them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codecframe import CodecframeError, MismatchError, Shape, TaskPrediction
from codecframe.core import registry
from codecframe.pipeline.engine import Ray
from codecframe_serving.batcher import Batching, BusyError
from codecframe_serving.worker import Job, Worker

_NAME = "codecframe"
_TRIES = 4
_PAUSE = 0.25
"""Seconds before an image whose replica was lost is given to another one."""


@dataclass(frozen=True)
class Recipe:
    """What a replica makes its worker of; plain data, so that it travels.

    Attributes:
        head: the head's name, file or function.
        codecs: the codecs' names; all that fit where there are none.
        max_pixels: pixels of an image, at most.
    """

    head: str
    codecs: tuple[str, ...] = ()
    max_pixels: int = 1 << 24

    def worker(self, decode_seconds: float | None = None) -> Worker:
        """The worker.

        Args:
            decode_seconds: decode in processes that are ended where one image takes longer; None
                decodes in this process.

        Raises:
            CodecframeError: if a name means nothing, or a codec does not fit.
        """
        default = registry.default()
        found = {name: default.codec(name) for name in self.codecs}
        head = default.head(self.head)
        worker = Worker(head, found.values() or None, max_pixels=self.max_pixels)
        if decode_seconds is None:
            return worker
        named = {codec.name: name for name, codec in found.items()}
        specs = named or {name: name for name in worker.codecs}
        return worker.sandboxed(specs, decode_seconds)


@dataclass(frozen=True)
class _Sent:
    """A job as it travels: codecs stay where they are."""

    data: bytes
    codec: str | None
    settings: dict[str, Any] | None
    shape: Shape | None

    @classmethod
    def of(cls, job: Job) -> _Sent:
        settings = None if job.settings is None else job.settings.to_dict()
        return cls(job.data, job.codec.name if job.codec else None, settings, job.shape)

    def job(self, worker: Worker) -> Job:
        codec = None if self.codec is None else worker.named(self.codec)
        given = codec is not None and self.settings is not None
        settings = codec.settings_type.from_dict(self.settings) if codec and given else None
        return Job(self.data, codec, settings, self.shape)


class Replicas:
    """Workers on a Ray cluster; used as an asynchronous context, in place of a `Batcher`.

    Args:
        recipe: what each replica is made of.
        count: how many there are.
        batching: how images are gathered.
        address: of the cluster, as `codecframe.pipeline.engine.Ray` takes it.

    Raises:
        DependencyError: if Ray Serve is not installed.
    """

    def __init__(
        self,
        recipe: Recipe,
        count: int,
        batching: Batching,
        address: str | None = None,
    ) -> None:
        self._engine = Ray(address, count)
        self._serve: Any = registry.require("ray.serve", "ray[serve]")
        self._depth = batching.depth
        self._app = self._deployment(count, batching).bind(recipe)
        self._handle: Any = None
        self.waiting = 0

    async def __aenter__(self) -> Replicas:
        await asyncio.to_thread(self._start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._end)

    def _start(self) -> None:
        self._engine.connect()
        quiet = {"log_level": "ERROR"}
        self._serve.start(proxy_location="Disabled", logging_config=quiet)
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        self._handle = self._serve.run(self._app, name=_NAME, route_prefix=None)

    def _end(self) -> None:
        self._serve.shutdown()
        self._engine.disconnect()

    async def submit(self, job: Job, client: str = "") -> TaskPrediction:
        """The prediction for one image; one whose replica is lost goes to another.

        Args:
            job: the image.
            client: the network address that sent it; says nothing here.

        Raises:
            BusyError: at once, if too many wait already.
            CodecframeError: what is wrong with the image, the head or the cluster.
        """
        del client
        if self.waiting >= self._depth:
            raise BusyError(f"{self._depth} requests wait already")
        self.waiting += 1
        try:
            result = await self._asked(_Sent.of(job))
        finally:
            self.waiting -= 1
        if isinstance(result, Exception):
            raise result
        return result

    async def _asked(self, sent: _Sent) -> TaskPrediction | Exception:
        import ray

        for tries_left in reversed(range(_TRIES)):
            try:
                answer: TaskPrediction | Exception = await self._handle.remote(sent)
                return answer
            except ray.exceptions.RayError as error:
                if not tries_left:
                    return MismatchError(f"Ray: {error}")
                await asyncio.sleep(_PAUSE)
        raise AssertionError("the last try returned")

    def _deployment(self, count: int, batching: Batching) -> Any:
        serve = self._serve

        @serve.deployment(num_replicas=count, max_ongoing_requests=4 * batching.size)
        class Replica:
            """One worker."""

            def __init__(self, recipe: Recipe) -> None:
                self._worker = recipe.worker()

            @serve.batch(  # type: ignore[untyped-decorator]
                max_batch_size=batching.size, batch_wait_timeout_s=batching.delay
            )
            async def predicted(self, sent: list[_Sent]) -> list[Any]:
                return await asyncio.to_thread(_predicted, self._worker, sent)

            async def __call__(self, sent: _Sent) -> Any:
                """A prediction, or what was wrong."""
                (answer,) = await self.predicted(sent)
                return answer

        return Replica


def _predicted(worker: Worker, sent: Sequence[_Sent]) -> list[tuple[TaskPrediction | Exception]]:
    """What each job comes to; in tuples, since Ray Serve raises bare exceptions as its own."""
    jobs: list[Job | CodecframeError] = []
    for one in sent:
        try:
            jobs.append(one.job(worker))
        except CodecframeError as error:
            jobs.append(error)
    results = iter(worker.run([job for job in jobs if isinstance(job, Job)]))
    return [(next(results) if isinstance(job, Job) else job,) for job in jobs]
