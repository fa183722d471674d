"""The camera's end of a link: takes images, sends them within the link's budget, hears predictions.

Every image that is taken ends in one `Outcome`: what the head saw, or why there is none. Where the
connection breaks, it is made again with back-off, and what was not answered is sent again.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from codecframe import (
    PIXELS,
    BudgetError,
    CodecframeError,
    DataError,
    Image,
    LayeredSettings,
    LimitError,
    MismatchError,
    Preprocess,
    as_data_error,
    check_size,
    get_codec,
    layered,
    limit_pixels,
)
from codecframe_serving.album import Album, Kept, picture_of
from codecframe_serving.answers import printable_data, words
from codecframe_serving.audit import lossless_codec
from codecframe_serving.decoding import GREY
from codecframe_serving.encoder import Choice, Encoder, Shot
from codecframe_serving.framequeue import FrameQueue, Item
from codecframe_serving.goodput import Goodput
from codecframe_serving.ownhead import OwnAnswer, OwnHead
from codecframe_serving.plan import Outcome, Plan, State
from codecframe_serving.protocol import (
    MAX_SEQUENCE,
    MAX_TEXT,
    SUBPROTOCOL,
    Answer,
    Ask,
    Hello,
    Picture,
    Ready,
    Refused,
    Status,
    Text,
    Welcome,
    printable,
    read_object,
    read_text,
)

_FLYING = 24
"""Frames that are not answered yet, at most; under what servers allow a stream."""
_QUEUE_SECONDS = 0.3
"""Traffic that may be under way."""
_STALL = 1.0
"""Seconds without an answer after which the link is taken to carry half."""
_TICK = 0.05
_BUSY_PAUSE, _LONGEST_BUSY_PAUSE = 0.2, 5.0
"""Seconds before a busy server is asked again, doubled each time."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 15.0
"""Seconds before a connection is tried again, doubled each time."""
_SILENCE = 30.0
"""Seconds without any answer to what was sent after which a connection is given up."""
_MAX_PIXELS = 1 << 24
"""Pixels of an image that a server may ask for, at most."""
_AGREE_SECONDS = 20.0
_PING_SECONDS = 5.0
_ASK_SECONDS = 10.0
"""Until the budget must leave enough for a picture that was asked for."""
_ASK_PAUSE = 0.2
"""Seconds before what it leaves is looked at again."""
_MOST_ASKS = 64
"""Pictures that a server may wait for."""
_MESSAGE_BYTES = 13
"""Of a picture, beside its payload: of the message, of WebSocket."""
_LAYER = "picture"
_HOPELESS = (400, 401, 403, 404)
"""HTTP answers that another try does not change."""


@dataclass(frozen=True)
class _Taken:
    """An image as it is to be sent: encoded, or, where `shot` is None, what the camera's own head
    says of it.
    """

    image: Image
    shot: Shot | None
    own: OwnAnswer | None = None

    def message(self, sequence: int) -> bytes:
        """What is sent."""
        said = self.shot or self.own
        assert said is not None  # noqa: S101 - one of them is there
        return said.message(sequence)


@dataclass
class _Flight:
    """A frame, or its picture layer, that is not answered yet; `sent` is None while it waits to be
    sent (again).
    """

    name: str
    message: bytes
    shot: Shot | None
    own: OwnAnswer | None = None
    level: int = 0
    layer: str = "task"
    sent: float | None = None


class Sender:
    """Sends images of one camera.

    Args:
        plan: how.
        report: called with each image's outcome.
        remark: called with what a person should know, such as a lost connection.
    """

    def __init__(
        self,
        plan: Plan,
        report: Callable[[Outcome], None],
        remark: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._plan, self._report, self._remark = plan, report, remark
        self._address = plan.address
        most = plan.budget.amount if plan.budget else float("inf")
        self._goodput = Goodput(most, tolerance=0.1 + 1 / (plan.fps or 10.0))
        self._encoder = Encoder(plan.choices, plan.budget)
        self._own: OwnHead | None = None
        if plan.device is not None:
            self._own = OwnHead(plan.device, plan.top, plan.kept, remark)
        self._choices = list(plan.choices)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="codecframe-encode")
        self._intake = FrameQueue(
            plan.fps, live=plan.live, stride=lambda: self._encoder.stride, drop=self._drop
        )
        self._flying: dict[int, _Flight] = {}
        self._waiting: deque[int] = deque()
        self._pictures: dict[int, _Flight] = {}
        self._album = Album(plan.keeps_pictures)
        self._asks: deque[tuple[int, float]] = deque()
        self._not_kept: deque[int] = deque()
        self._ask_again = 0.0
        self._next = 0
        self._heard = asyncio.Event()
        self._welcome: Welcome | None = None
        self._said: int | None = None
        self._unready = 0
        self._busy_pause = _BUSY_PAUSE
        self._resume = 0.0
        self._progress = self._last_answer = 0.0
        self.state = State(rate=most)

    async def run(self, items: Iterable[Item]) -> None:
        """Send images to the last; every one that was taken is reported, however this ends.

        Raises:
            DataError: if the server cannot be reached, or is none, or the source breaks.
            MismatchError: if it takes none of the codecs.
        """
        loop = asyncio.get_running_loop()
        for choice in self._plan.choices:  # before the first image, which does not wait
            with suppress(CodecframeError):  # each image will tell
                await loop.run_in_executor(self._thread, choice.codec.warm_up)
        if self._own is not None:
            await loop.run_in_executor(self._thread, self._own.look, GREY)  # loads it
        taking = asyncio.create_task(self._intake.run(items))
        try:
            await self._keep_connected()
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            self._thread.shutdown(wait=False, cancel_futures=True)
            for flight in self._flying.values():
                self._drop(flight.name, "sending ended before the answer")
            for name in self._intake.rest():
                self._drop(name, "sending ended")
            self._drop_pictures("sending ended")

    # -- connecting -----------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        """Converse until all is answered, over as many connections as it takes."""
        loop = asyncio.get_running_loop()
        self._progress, pause = loop.time(), _FIRST_PAUSE
        while True:
            begun = loop.time()
            try:
                await self._connection()
            except InvalidURI as error:
                raise DataError(self._plan.url, error) from None
            except (OSError, TimeoutError, WebSocketException) as error:
                reason = _why(error)
            else:
                return
            if self._last_answer > begun or loop.time() - begun > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE  # to connect alone proves nothing
            self.state.connected = False
            if self._is_hopeless():
                raise DataError(self._plan.url, f"no connection: {reason}")
            self._remark(f"{self._plan.url}: {printable(reason)}; trying again in {pause:g} s")
            await asyncio.sleep(_jittered(pause))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _is_hopeless(self) -> bool:
        """Whether nothing has got through for so long that sending ends."""
        waited = asyncio.get_running_loop().time() - self._progress
        return self._plan.give_up is not None and waited >= self._plan.give_up

    async def _connection(self) -> None:
        """One connection, until all is answered.

        Raises:
            OSError, TimeoutError, WebSocketException: if it breaks.
        """
        token = self._plan.token
        tls: dict[str, Any] = {} if self._plan.tls is None else {"ssl": self._plan.tls}
        try:
            async with _Connect(
                self._address,
                additional_headers={"Authorization": f"Bearer {token}"} if token else {},
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                max_size=4 * MAX_TEXT,
                ping_interval=_PING_SECONDS,
                **tls,
            ) as socket:
                await self._agree(socket)
                self.state.connected = True
                self.state.connections += 1
                await self._converse(socket)
        except InvalidStatus as error:
            code = error.response.status_code
            if code in _HOPELESS or 300 <= code < 400:
                raise DataError(self._plan.url, _why(error)) from None
            raise

    async def _agree(self, socket: ClientConnection) -> None:
        """Hear what the server takes, and ask for every codec, the preferred last.

        Raises:
            DataError: if it is not such a server.
            MismatchError: if it refuses a codec.
        """
        async with asyncio.timeout(_AGREE_SECONDS):
            self._welcome = self._checked(read_text(await _text(socket), Welcome))
            if self._plan.wants_pictures and not self._welcome.pictures:
                raise MismatchError(f"{self._plan.url}: this server takes no pictures")
            if self._own is not None:
                self._own.check(self._welcome, self._plan.url)
            self._unready = 0
            self._choices = [*self._plan.choices, *self._for_audit(self._welcome)]
            for choice in reversed(range(len(self._choices))):
                await self._say(socket, choice)
                self._check(read_text(await _text(socket), Ready, Refused))

    def _checked(self, welcome: Welcome) -> Welcome:
        """What the server asks for, if a camera can give it.

        Raises:
            DataError: if its images are too large, or not described as they must be.
        """
        welcome = replace(welcome, labels=tuple(map(printable, welcome.labels)))
        if welcome.preprocess is None:
            return welcome
        said = "asks for images that cannot be"
        with as_data_error(self._plan.url, CodecframeError, saying=said):
            shape = Preprocess.of(welcome.preprocess).final_shape
        if shape is not None and shape[0] * shape[1] > _MAX_PIXELS:
            raise DataError(
                self._plan.url,
                f"asks for images of {shape[1]}x{shape[0]}, more than {_MAX_PIXELS:,} pixels",
            )
        return welcome

    def _for_audit(self, welcome: Welcome) -> list[Choice]:
        """How frames are sent once more, if at all: without loss, or else at the highest level."""
        if not self._plan.audit:
            return []
        name = lossless_codec(welcome.codecs) if welcome.representation == str(PIXELS) else None
        if name is not None:
            codec = get_codec(name)
            return [Choice(codec, codec.settings())]
        codec, settings = self._plan.choices[0].codec, self._plan.choices[0].settings
        if isinstance(settings, LayeredSettings):
            settings = settings.task_alone
        return [Choice(codec, settings.at_level(settings.knob_levels() - 1))]

    def _audits(self, choice: int) -> bool:
        return choice >= len(self._plan.choices)

    async def _say(self, socket: ClientConnection, index: int) -> None:
        """Say which codec the next frames are of."""
        codec, settings = self._choices[index].codec, self._choices[index].settings
        if isinstance(settings, LayeredSettings):
            settings = settings.task_alone
        knob = settings.knob()
        said = {k: v for k, v in settings.changed().items() if not knob or k != knob.field}
        emits = tuple(str(representation) for representation in codec.emits)
        hello = Hello(
            codec.name,
            said,
            emits,
            top=self._plan.top,
            says=True,
            audits=self._audits(index),
            promised=self._plan.promised,
            pictures=self._plan.keeps_pictures > 0,
        )
        await socket.send(hello.pack())
        self._said = index
        self._unready += 1

    def _check(self, answer: Text) -> None:
        self._unready -= 1
        if self._unready < 0:
            raise DataError(self._plan.url, "answers a hello that was not said")
        if isinstance(answer, Refused):
            raise MismatchError(f"{self._plan.url}: {printable(answer.reason)}")

    # -- conversing -----------------------------------------------------------------------

    async def _converse(self, socket: ClientConnection) -> None:
        """Send and hear until all is answered, or the connection breaks."""
        for flight in self._flying.values():
            flight.sent = None
        self._waiting = deque(sorted(self._flying))
        self._drop_pictures("the connection was lost")  # its server knows nothing of the frames
        writing = asyncio.create_task(self._write(socket))
        others = [asyncio.create_task(self._read(socket)), asyncio.create_task(self._watch())]
        try:
            done, _ = await asyncio.wait({writing, *others}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, *others):
                task.cancel()
            await asyncio.gather(writing, *others, return_exceptions=True)
        for task in done:
            task.result()
        if writing not in done:
            raise ConnectionError("the server ended the stream")

    async def _write(self, socket: ClientConnection) -> None:
        """Send frames as the link allows, until all images were taken and answered."""
        while self._is_due():
            now = asyncio.get_running_loop().time()
            if self._not_kept:
                await socket.send(Picture(self._not_kept.popleft(), 0, None).pack())
            elif now < self._resume or not self._has_room():
                self._give_way()
                await self._hear()
            elif self._waiting:
                await self._send(socket, self._waiting.popleft())
            elif (number := self._next_picture()) is not None:
                await self._send_picture(socket, number)
            elif self._asks and now >= self._ask_again:
                await self._encode_asked(*self._asks.popleft())
            elif self._intake.has_ended:
                await self._hear()
            elif (item := await self._intake.next(_TICK)) is not None:
                for taken in await self._encoded(item):
                    self._take(item.name, taken)
                self._intake.release()

    def _is_due(self) -> bool:
        """Whether anything is still to be sent or answered."""
        ended = self._intake.has_ended and not self._flying
        return not ended or bool(self._pictures or self._asks or self._not_kept)

    def _take(self, name: str, taken: _Taken) -> None:
        """A frame is to be sent, and its picture behind it where there is one; or its label."""
        self._next = (self._next + 1) & MAX_SEQUENCE
        shot = taken.shot
        message, level = taken.message(self._next), shot.level if shot else 0
        self._flying[self._next] = _Flight(name, message, shot, taken.own, level)
        self._waiting.append(self._next)
        if shot is None:
            return
        if self._plan.keeps_pictures and layered(self._choices[shot.choice].codec):
            self._album.keep(self._next, Kept(name, taken.image, shot))
        if shot.picture is not None:
            self._add_picture(self._next, name, shot, shot.picture_level, shot.picture)

    def _has_room(self) -> bool:
        """Whether another frame may be under way."""
        under_way = [flight for flight in self._flights() if flight.sent is not None]
        if not under_way:
            return True
        bits = sum(8 * len(flight.message) for flight in under_way)
        return len(under_way) < _FLYING and bits < self._goodput.window(_QUEUE_SECONDS)

    def _flights(self) -> list[_Flight]:
        """What waits to be sent or answered."""
        return [*self._flying.values(), *self._pictures.values()]

    async def _hear(self) -> None:
        """Wait for an answer, for a moment."""
        self._heard.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_TICK):  # `wait_for` of Python 3.11 can miss a cancellation
                await self._heard.wait()

    async def _encoded(self, item: Item) -> list[_Taken]:
        """The image as it is to be sent, at times twice; nothing if there is none, which is
        reported.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._shot, item, loop.time())
        except BudgetError as error:
            self._drop(item.name, str(error))
        except CodecframeError as error:
            self._end(Outcome(item.name, "failed", str(error)))
        finally:
            self.state.stride = self._encoder.stride
        return []

    def _shot(self, item: Item, now: float) -> list[_Taken]:
        """Read, prepare and encode an image, unless the camera's own head is sure of it; now and
        then once more, for the audit.
        """
        assert self._welcome is not None  # noqa: S101 - connected
        image = item.read()
        if self._welcome.preprocess is not None:
            with limit_pixels(_MAX_PIXELS):  # what a server asks for, not what a person gives
                image = Preprocess.of(self._welcome.preprocess).geometry(image)
        height, width = image.shape[:2]
        if height * width > self._welcome.max_pixels:
            raise LimitError(f"{width}x{height} is more than the server takes")
        check_size(height, width, item.name)
        own = None if self._own is None else self._own.look(image)
        if self._own is not None and own is not None and self._own.is_sure(own):
            self._encoder.skip(image, len(own.message(0)), self._goodput.rate)
            audits = self._audit_of(image, self._welcome.max_message) if own.top else []
            return [_Taken(image, None, own), *audits]
        shot = self._encoder.encode(image, self._goodput.rate, now)
        if len(shot.payload) + 16 > self._welcome.max_message:
            raise LimitError(f"{len(shot.payload):,} bytes are more than the server takes")
        return [_Taken(image, shot, own), *self._audit_of(image, self._welcome.max_message)]

    def _audit_of(self, image: Image, most: int) -> list[_Taken]:
        """The image once more, for a random share of images; none while the last is not paid for.

        Whether one is taken does not depend on what it shows.
        """
        is_due = not self._encoder.owes and random.random() < self._plan.audit  # noqa: S311
        if not is_due:
            return []
        index = len(self._plan.choices)
        choice = self._choices[index]
        payload = choice.codec.strip(choice.codec.encode(image, choice.settings))
        if len(payload) + 16 > most:
            return []
        self._encoder.spend(len(payload))
        shape = image.shape[0], image.shape[1]
        return [_Taken(image, Shot(index, choice.settings.level, payload, shape))]

    async def _send(self, socket: ClientConnection, number: int) -> None:
        flight = self._flying[number]
        if flight.shot is not None and flight.shot.choice != self._said:
            await self._say(socket, flight.shot.choice)
        flight.sent = asyncio.get_running_loop().time()
        self.state.flying = len(self._flying)
        await socket.send(flight.message)

    async def _read(self, socket: ClientConnection) -> None:
        """Hear answers."""
        async for message in socket:
            if isinstance(message, str):
                text = read_text(message, Ready, Refused, Ask)
                if isinstance(text, Ask):
                    self._asked(text.sequence)
                else:
                    self._check(text)
            else:
                self._answered(Answer.unpack(message))

    def _answered(self, answer: Answer) -> None:
        of_picture = answer.of_picture
        flights = self._pictures if of_picture else self._flying
        flight = flights.get(answer.sequence)
        if flight is None or flight.sent is None:
            kind = "picture" if of_picture else "frame"
            raise DataError(self._plan.url, f"answered {kind} {answer.sequence}, which is not sent")
        now = asyncio.get_running_loop().time()
        again = answer.status in (Status.BUSY, Status.TOO_FAST)
        if again and not of_picture and not self._plan.live:
            flight.sent = None
            self._waiting.append(answer.sequence)
            self._hold(now)
            return
        if of_picture or not again:
            self._progress = self._last_answer = now
        if not of_picture and not again:
            self._busy_pause = _BUSY_PAUSE
        del flights[answer.sequence]
        self._goodput.answered(8 * len(flight.message), flight.sent, now, answer.seconds)
        self.state.rate, self.state.flying = self._goodput.rate, len(self._flying)
        status = "ok" if answer.status is Status.OK else "dropped" if again else "failed"
        self._end_flight(flight, status, printable(answer.reason), now - flight.sent, answer)
        self._heard.set()

    def _end_flight(
        self,
        flight: _Flight,
        status: str,
        reason: str,
        seconds: float = 0.0,
        answer: Answer | None = None,
    ) -> None:
        """Report what became of a frame or picture: with what the server's head says, or the
        camera's own.
        """
        shot, own = flight.shot, flight.own
        if shot and own and self._own is not None and answer is not None and answer.top:
            self._own.compare(own, answer.top[0][0])
        seen = (own if shot is None else answer) if status == "ok" else None
        labels = (self._welcome.labels if self._welcome else ()) or self._own_labels
        found = printable_data(read_object(seen.said)) if seen and seen.said else None
        self._end(
            Outcome(
                flight.name,
                status,
                reason,
                tuple(
                    (i, labels[i] if i < len(labels) else str(i), p)
                    for i, p in (seen.top if seen else ())
                ),
                self._choices[shot.choice].codec.name if shot else "",
                flight.level,
                len(flight.message),
                seconds,
                shot is not None and self._audits(shot.choice),
                layer=flight.layer,
                on_device=shot is None,
                prediction=found,
                words=words(self._welcome.task, found) if found and self._welcome else "",
            )
        )

    @property
    def _own_labels(self) -> tuple[str, ...]:
        """Names of the classes of the camera's own head, which are the server's head's."""
        return () if self._own is None else tuple(self._own.head.labels)

    def _hold(self, now: float) -> None:
        """Send nothing for a while: the server is busy. More refusals of the same moment do not
        make it longer."""
        if now >= self._resume:
            self._resume = now + _jittered(self._busy_pause)
            self._busy_pause = min(2 * self._busy_pause, _LONGEST_BUSY_PAUSE)

    async def _watch(self) -> None:
        """Take a link from which nothing is heard to carry less, and at last to be broken.

        Raises:
            TimeoutError: if nothing was answered for too long.
            DataError: if it is time to give up.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK)
            now = loop.time()
            if not (self._flying or self._pictures or self._intake.has_waiting):
                self._progress = now  # nothing is due
                continue
            if self._is_hopeless():
                raise DataError(self._plan.url, f"no answer for {self._plan.give_up:g} s")
            sent = [flight.sent for flight in self._flights() if flight.sent is not None]
            if sent and now - max(min(sent), self._progress) > _SILENCE:
                raise TimeoutError
            if sent and self._goodput.stalled(min(sent), now, _STALL):
                self.state.rate = self._goodput.rate

    # -- pictures -------------------------------------------------------------------------

    def _add_picture(self, number: int, name: str, shot: Shot, level: int, layer: bytes) -> None:
        """A picture is to be sent, behind its frame."""
        message = Picture(number, level, layer).pack()
        flight = _Flight(name, message, shot, level=level, layer=_LAYER)
        welcome = self._welcome
        if welcome is not None and len(flight.message) > welcome.max_message:
            self._end_flight(flight, "failed", "more bytes than the server takes")
        elif number in self._pictures:
            self._end_flight(flight, "dropped", "it is on its way already")
        else:
            self._pictures[number] = flight

    def _next_picture(self) -> int | None:
        waiting = (number for number, one in self._pictures.items() if one.sent is None)
        return next(waiting, None)

    async def _send_picture(self, socket: ClientConnection, number: int) -> None:
        flight = self._pictures[number]
        flight.sent = asyncio.get_running_loop().time()
        await socket.send(flight.message)

    def _give_way(self) -> None:
        """Pictures of a live camera that wait are dropped when the next frame is there."""
        if not (self._plan.live and self._intake.has_waiting) or self._plan.keeps_pictures:
            return
        for number in [n for n, one in self._pictures.items() if one.sent is None]:
            self._end_flight(self._pictures.pop(number), "dropped", "the link is behind")

    def _asked(self, number: int) -> None:
        """The server wants the picture of a frame.

        Raises:
            DataError: if it must not ask, or asks too often.
        """
        if not self._plan.keeps_pictures or len(self._asks) + len(self._not_kept) >= _MOST_ASKS:
            raise DataError(self._plan.url, "asks for pictures that are not to be had")
        if self._album.find(number) is None:
            self._not_kept.append(number)
            self._end(Outcome(f"frame {number}", "dropped", "is not kept any more", layer=_LAYER))
        else:
            self._asks.append((number, asyncio.get_running_loop().time() + _ASK_SECONDS))
        self._heard.set()

    async def _encode_asked(self, number: int, until: float) -> None:
        """Encode the picture of a frame into what the budget leaves, or look again later."""
        loop = asyncio.get_running_loop()
        kept = self._album.find(number)
        found = None
        reason = "is not kept any more"
        if kept is not None:
            index = kept.shot.choice
            choice, limit = self._choices[index], self._encoder.spare(index) - _MESSAGE_BYTES
            try:
                found = await loop.run_in_executor(self._thread, picture_of, choice, kept, limit)
            except CodecframeError as error:
                reason, until = str(error), 0.0
            else:
                reason = "the budget leaves too little for a picture"
        if kept is not None and found is not None:
            self._encoder.spend_saved(kept.shot.choice, len(found[1]) + _MESSAGE_BYTES)
            self._add_picture(number, kept.name, kept.shot, *found)
        elif kept is not None and loop.time() < until and not self._intake.has_ended:
            self._asks.append((number, until))
            self._ask_again = loop.time() + _ASK_PAUSE
        else:
            name = kept.name if kept is not None else f"frame {number}"
            self._not_kept.append(number)
            self._end(Outcome(name, "dropped", reason, layer=_LAYER))

    def _drop_pictures(self, reason: str) -> None:
        for flight in self._pictures.values():
            self._end_flight(flight, "dropped", reason)
        for number, _ in self._asks:
            kept = self._album.find(number)
            name = kept.name if kept else f"frame {number}"
            self._end(Outcome(name, "dropped", reason, layer=_LAYER))
        self._pictures.clear()
        self._asks.clear()
        self._not_kept.clear()

    # -- reporting ------------------------------------------------------------------------

    def _drop(self, name: str, reason: str) -> None:
        self._end(Outcome(name, "dropped", reason))

    def _end(self, outcome: Outcome) -> None:
        state = self.state
        counter = f"pictures_{outcome.status}" if outcome.layer == _LAYER else outcome.status
        setattr(state, counter, getattr(state, counter) + 1)
        if outcome.status == "ok" and outcome.layer != _LAYER:
            state.last = outcome
            state.on_device += outcome.on_device
        self._report(outcome)


class _Connect(connect):
    """A connection to the server that was named, and to no other that it might name instead."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _jittered(seconds: float) -> float:
    """About so long: cameras that lost their server together do not come back together."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


async def _text(socket: ClientConnection) -> str:
    message = await socket.recv()
    if isinstance(message, bytes):
        raise DataError("link", "the server begins with a binary message")
    return message


def _why(error: Exception) -> str:
    """What went wrong, in words."""
    if isinstance(error, InvalidStatus):
        return f"the server answers {error.response.status_code}"
    if isinstance(error, TimeoutError):
        return "no answer"
    return str(error) or type(error).__name__
