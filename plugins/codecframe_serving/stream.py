"""A WebSocket stream at the server: frames are read, and answered when their batch is done."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from codecframe import CodecframeError, DataError, LayeredSettings
from codecframe_serving import logs
from codecframe_serving.admission import address
from codecframe_serving.audit import Pairs
from codecframe_serving.dashboard import Answered, Labelled, Pictured
from codecframe_serving.gallery import Gallery, Seen
from codecframe_serving.limits import RateLimiter
from codecframe_serving.protocol import IDLE as _IDLE
from codecframe_serving.protocol import (
    SUBPROTOCOL,
    Answer,
    Ask,
    Frame,
    Label,
    Picture,
    Status,
    Text,
    is_label,
    is_picture,
)
from codecframe_serving.service import Service, status_of
from codecframe_serving.session import Session, welcome
from codecframe_serving.worker import Job

_numbers = itertools.count(1)

_GONE, _GOING_AWAY, _INVALID, _TOO_FAST = 1000, 1001, 1007, 1008
"""Codes with which a stream is closed, besides that of the protocol."""


class Stream:
    """One stream of one client."""

    def __init__(self, socket: WebSocket, service: Service) -> None:
        self._socket = socket
        self._service = service
        self.name = f"stream {next(_numbers)}"
        """By which those who watch know it."""
        self._client = address(socket)
        self._session = Session(service.worker)
        self._pace = RateLimiter(service.limits.fps)
        self._picture_pace = RateLimiter(service.limits.fps)
        self._gallery = Gallery()
        self._places = asyncio.Semaphore(service.limits.pending)
        self._pairs = Pairs()
        self._answered: Counter[Status] = Counter()
        self._labels = 0
        self._stopping = False
        self._idle = False
        self._pending = 0
        self._waiting: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Serve until the client goes or `stop` is called; what was read is answered first."""
        offered = self._socket.scope.get("subprotocols", ())
        chosen = SUBPROTOCOL if SUBPROTOCOL in offered else None
        logs.event(logging.INFO, "stream opened", client=self._client)
        try:
            await self._tell(lambda: self._socket.accept(chosen))
            await self._say(welcome(self._service.worker, self._service.limits))
            async with asyncio.TaskGroup() as answers:
                code = await self._read(answers)
            await self._tell(lambda: self._socket.close(code))
        finally:
            self._gallery.close()
            counts = {status.name.lower(): count for status, count in self._answered.items()}
            counts |= {"on_device": self._labels} if self._labels else {}
            logs.event(logging.INFO, "stream closed", client=self._client, **counts)

    def stop(self) -> None:
        """Read nothing more."""
        self._stopping = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def _read(self, answers: asyncio.TaskGroup) -> int:
        """Read messages to the end; returns the code to close with."""
        while True:
            await self._places.acquire()
            message = await self._receive()
            if message is None:
                return _GOING_AWAY if self._stopping else _IDLE if self._idle else _GONE
            arrived = time.monotonic()
            if isinstance(message, str):
                self._places.release()
                if not self._pace.allows(arrived):
                    return _TOO_FAST
                # off the loop: even a short text may take long to check
                await self._say(await asyncio.to_thread(self._session.hello, message))
                continue
            try:
                if is_label(message):
                    self._places.release()
                    await self._take_label(Label.unpack(message), arrived)
                    continue
                if is_picture(message):
                    self._places.release()
                    await self._take_picture(Picture.unpack(message), arrived)
                    continue
                frame = Frame.unpack(message)
            except DataError:
                return _INVALID
            if (job := await self._job(frame, arrived)) is None:
                self._places.release()
            else:
                if isinstance(job.settings, LayeredSettings):
                    self._gallery.add(Seen(frame.sequence, job))
                said = self._session.audits, self._session.promised
                answers.create_task(self._predict(frame.sequence, job, arrived, *said))

    async def _receive(self) -> str | bytes | None:
        """The next message, or None where there is none any more."""
        while not self._stopping:
            try:
                async with asyncio.timeout(self._service.limits.idle) as self._waiting:
                    event = await self._socket.receive()
                    break
            except TimeoutError:
                if self._stopping or self._pending:
                    continue  # who waits for an answer is not idle
                self._idle = True
                return None
            finally:
                self._waiting = None
        else:
            return None
        if event["type"] == "websocket.disconnect":
            return None
        text: str | None = event.get("text")
        return event["bytes"] if text is None else text

    async def _job(self, frame: Frame, arrived: float) -> Job | None:
        """What a frame asks for; None for one that was answered at once."""
        if not self._pace.allows(arrived):
            fps = f"over {self._service.limits.fps:g} frames a second"
            await self._send(Answer(frame.sequence, Status.TOO_FAST, reason=fps), arrived)
            return None
        try:
            return self._session.job(frame)
        except CodecframeError as error:
            await self._send(Answer(frame.sequence, Status.BAD, reason=str(error)), arrived)
            return None

    async def _predict(
        self, sequence: int, job: Job, arrived: float, audits: bool, promised: float | None
    ) -> None:
        prediction = None
        self._pending += 1
        try:
            with self._service.room.claim() as claim:
                prediction = await self._service.predict(job, claim, self._client)
            answer = self._session.answer(sequence, prediction, time.monotonic() - arrived)
            add = self._pairs.add_lossless if audits else self._pairs.add
            if pair := add(sequence, prediction):
                self._service.audit.compare(*pair, promised)
        except Exception as error:  # of a stranger's head or codec
            status, spent = status_of(error), time.monotonic() - arrived
            answer = Answer(sequence, status, spent, reason=str(error))
        self._service.watch.add(
            Answered(
                self.name,
                self._client,
                job,
                answer.status,
                answer.seconds,
                prediction,
                sequence,
                self._session.keeps_pictures,
            )
        )
        try:
            self._show(self._gallery.judge(sequence, prediction))
            await self._send(answer, arrived)
            if (
                prediction is not None
                and self._session.keeps_pictures
                and any(rule.applies(prediction) for rule in self._service.rules)
            ):
                with contextlib.suppress(DataError):  # it waits for many already
                    await self._asking(sequence)  # what comes is kept and shown
        finally:
            self._pending -= 1
            self._places.release()

    async def _take_label(self, label: Label, arrived: float) -> None:
        """Count, show and answer what the client's own head saw in a frame that is not sent."""
        status, reason = Status.OK, ""
        if not self._pace.allows(arrived):
            status, reason = Status.TOO_FAST, f"over {self._service.limits.fps:g} a second"
        else:
            try:
                self._session.check_label(label)
            except CodecframeError as error:
                status, reason = Status.BAD, str(error)
            else:
                self._service.watch.add_label(Labelled(self.name, self._client, label))
                if label.top and (pair := self._pairs.add(label.sequence, label.top[0][0])):
                    self._service.audit.compare(*pair, self._session.promised)
        self._labels += status is Status.OK
        self._service.metrics.labelled(status, len(label.pack()))
        await self._reply(Answer(label.sequence, status, time.monotonic() - arrived, (), reason))

    # -- pictures -------------------------------------------------------------------------

    async def picture(self, sequence: int, seconds: float) -> Seen:
        """A frame with its picture; the client is asked for it where it has not come.

        Raises:
            DataError: if the frame is not kept, or the client does not send its picture in time.
        """
        seen = self._gallery.find(sequence)
        if seen is not None and seen.picture_bytes is not None:
            return seen
        if not self._session.keeps_pictures:
            raise DataError("picture", "this camera sends no pictures when asked")
        future = await self._asking(sequence)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(future)
        except TimeoutError:
            self._gallery.give_up(sequence)
            raise DataError("picture", f"it did not come in {seconds:g} s") from None

    async def _asking(self, sequence: int) -> asyncio.Future[Seen]:
        """What will be a frame with its picture; the client is asked for it, but once."""
        future, is_new = self._gallery.asking(sequence)
        if is_new:
            self._service.metrics.asked()
            await self._say(Ask(sequence))
        return future

    def _show(self, seen: Seen | None) -> None:
        """Show a frame to those who watch, when picture and prediction are there."""
        if seen is None or seen.prediction is None or seen.picture_bytes is None:
            return
        self._service.watch.add_picture(
            Pictured(self.name, seen.sequence, seen.job, seen.prediction, seen.picture_bytes)
        )

    async def _take_picture(self, picture: Picture, arrived: float) -> None:
        """Keep a picture, show it, and answer it."""
        status, reason, seen = Status.OK, "", None
        if not self._picture_pace.allows(arrived):
            status, reason = Status.TOO_FAST, f"over {self._service.limits.fps:g} a second"
        else:
            try:
                seen = self._gallery.take(picture)
            except DataError as error:
                status, reason = Status.BAD, str(error)
        self._show(seen)
        if picture.payload is None:
            self._service.metrics.picture("not kept", 0)
            return
        self._service.metrics.picture(status.name.lower(), len(picture.payload))
        spent = time.monotonic() - arrived
        await self._reply(Answer(picture.sequence, status, spent, (), reason, of_picture=True))

    async def _send(self, answer: Answer, arrived: float) -> None:
        self._answered[answer.status] += 1
        self._service.metrics.answered("stream", answer.status, time.monotonic() - arrived)
        await self._reply(answer)

    async def _reply(self, answer: Answer) -> None:
        await self._tell(lambda: self._socket.send_bytes(answer.pack()))

    async def _say(self, text: Text) -> None:
        await self._tell(lambda: self._socket.send_text(text.pack()))

    async def _tell(self, send: Callable[[], Awaitable[None]]) -> None:
        """Send something; who has gone misses it, and `_receive` will say so."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
            await send()
