"""What people see who look at a server: figures of the last moment, and now and then a picture."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from codecframe import Image, Shape, TaskHead, TaskPrediction
from codecframe_serving import answers
from codecframe_serving.decoding import file_of, reduced
from codecframe_serving.protocol import MAX_SIDE, Label, Status, read_object
from codecframe_serving.worker import Job

TICK = 0.25
"""Seconds between two views."""
_ROWS = 50
"""Streams that a view names, at most."""
_TIMES = 2048
"""Times of a view that its percentiles are taken of, at most."""
_SIDE = 320
"""Pixels of a picture's longer side, at most."""
_DRAWN_SIDE = 640
"""The same of a picture on which something is drawn."""
_LOSSLESS = 64 * 64
"""Pixels up to which a picture is shown as it is."""
_TOP = 3
_ON_DEVICE = "on the device"
"""Where frames were answered that were not sent."""
_PICTURES = 3
"""Picture layers of a view, at most: the latest."""


@dataclass(frozen=True)
class Answered:
    """An image that was answered.

    Attributes:
        source: the stream, or `http`.
        client: network address of who sent it.
        job: what it was.
        status: what became of it.
        seconds: from its arrival to its answer.
        prediction: of this one image; None where there is none.
        sequence: the number of a stream's frame.
        keeps_pictures: whether its client can be asked for the picture.
    """

    source: str
    client: str
    job: Job
    status: Status
    seconds: float
    prediction: TaskPrediction | None = None
    sequence: int | None = None
    keeps_pictures: bool = False


@dataclass(frozen=True)
class Labelled:
    """A frame that a camera answered by itself.

    Attributes:
        source: the stream.
        client: network address of who sent it.
        label: what the camera's own head saw.
    """

    source: str
    client: str
    label: Label


@dataclass(frozen=True)
class Pictured:
    """A frame whose picture layer came.

    Attributes:
        source: the stream.
        sequence: the frame's number.
        job: both layers.
        prediction: what the head saw in the task layer.
        bytes: of the picture layer.
    """

    source: str
    sequence: int
    job: Job
    prediction: TaskPrediction
    bytes: int


class Watch:
    """Gathers what was answered for everyone who looks; costs nothing while nobody does.

    Args:
        picture: rebuilds the image of a job, reduced to at most so many pixels a side; says also
            which (height, width) it had.
        state: figures that every view has.
        head: says and draws what it sees.
        most: who may look at a time.
    """

    def __init__(
        self,
        picture: Callable[[Job, int], tuple[Image, Shape]],
        state: Callable[[], dict[str, Any]],
        head: TaskHead,
        most: int = 8,
    ) -> None:
        self._head = head
        self._picture = picture
        self._state = state
        self._most = most
        self._moments: dict[_Moment, str] = {}

    def has_place(self, watcher: str) -> bool:
        """Whether one more may look from a network address, which has half of the places."""
        of_one = sum(1 for other in self._moments.values() if other == watcher)
        return len(self._moments) < self._most and of_one < max(self._most // 2, 1)

    def add(self, answered: Answered) -> None:
        """Note what was answered."""
        for moment in self._moments:
            moment.add(answered)

    def add_label(self, labelled: Labelled) -> None:
        """Note what a camera answered by itself."""
        for moment in self._moments:
            moment.add_label(labelled)

    def add_picture(self, pictured: Pictured) -> None:
        """Note a picture that came."""
        for moment in self._moments:
            moment.add_picture(pictured)

    async def views(self, watcher: str, ended: asyncio.Event) -> AsyncIterator[dict[str, Any]]:
        """What is to be seen, `TICK` after `TICK`, as plain data, until `ended` is set.

        Args:
            watcher: the network address of who looks.
            ended: set from outside.
        """
        moment = _Moment(self._head)
        self._moments[moment] = watcher
        try:
            while not ended.is_set():
                taken = {**moment.take(), **self._state()}
                pictures = [await self._pictured(one) for one in moment.take_pictures()]
                yield {**taken, "picture": await self._shown(moment), "pictures": pictures}
                try:
                    async with asyncio.timeout(TICK):
                        await ended.wait()
                except TimeoutError:
                    continue
        finally:
            del self._moments[moment]

    async def _shown(self, moment: _Moment) -> dict[str, Any] | None:
        """The latest picture and what the head sees in it; None where there is no newer one."""
        latest, moment.latest = moment.latest, None
        if latest is None or latest.prediction is None:
            return None
        found: dict[str, Any] = {
            "stream": latest.source,
            "sequence": latest.sequence,
            "can_ask": latest.keeps_pictures,
            "codec": latest.job.codec.name if latest.job.codec else "image file",
            "bytes": len(latest.job.data),
        }
        return found | await self._looked_at(latest.job, latest.prediction, _TOP)

    async def _pictured(self, pictured: Pictured) -> dict[str, Any]:
        """A picture that came, and what the head saw."""
        found: dict[str, Any] = {
            "stream": pictured.source,
            "sequence": pictured.sequence,
            "task_bytes": max(len(pictured.job.data) - pictured.bytes, 0),
            "picture_bytes": pictured.bytes,
        }
        return found | await self._looked_at(pictured.job, pictured.prediction, 1)

    async def _looked_at(self, job: Job, prediction: TaskPrediction, most: int) -> dict[str, Any]:
        """What the head saw: `top`, or of other tasks `words`; and the image of a job, on which
        these are drawn, unless it cannot be rebuilt.
        """
        if self._head.task.name == answers.CLASSES:
            seen: dict[str, Any] = {"top": [asdict(one) for one in answers.top(prediction, most)]}
            rebuilt = partial(self._picture, job, _SIDE)
        else:
            said = answers.said(self._head, prediction)
            seen = {"words": self._head.task.words(said)}
            rebuilt = partial(self._told, job, said)
        with contextlib.suppress(Exception):  # of a stranger's codec, or of one that rebuilds none
            return seen | await asyncio.to_thread(lambda: _drawn(*rebuilt()))
        return seen

    def _told(self, job: Job, said: dict[str, Any]) -> tuple[Image, Shape]:
        """The image of a job with what is seen drawn on it, reduced, and its own shape."""
        image, shape = self._picture(job, MAX_SIDE)
        return reduced(self._head.task.draw(image, said), _DRAWN_SIDE), shape


class _Moment:
    """What happened since one looked last."""

    def __init__(self, head: TaskHead) -> None:
        self.latest: Answered | None = None
        self._pictures: deque[Pictured] = deque(maxlen=_PICTURES)
        self._head = head
        self._clear()

    def _clear(self) -> None:
        self._since = time.monotonic()
        self._statuses: Counter[str] = Counter()
        self._bytes = 0
        self._times: list[float] = []
        self._rows: dict[str, dict[str, Any]] = {}

    def add(self, answered: Answered) -> None:
        self._statuses[answered.status.name.lower()] += 1
        self._bytes += len(answered.job.data)
        if answered.status is Status.OK:
            self.latest = answered
            if len(self._times) < _TIMES:
                self._times.append(answered.seconds)
        if self._has_row(answered.source):
            self._note(answered)

    def add_label(self, labelled: Labelled) -> None:
        label, size = labelled.label, len(labelled.label.pack())
        self._statuses[_ON_DEVICE] += 1
        self._bytes += size
        if not self._has_row(labelled.source):
            return
        row = self._row(labelled.source, labelled.client, size)
        row["on_device"] += 1
        row |= {"codec": _ON_DEVICE, "knob": None, "status": "ok", "seconds": None}
        if label.said:
            words = answers.words(self._head.task.name, read_object(label.said))
            row |= {"label": words, "probability": None}
        else:
            index, probability = label.top[0]
            known = index < len(self._head.labels)
            name = self._head.labels[index] if known else str(index)
            row |= {"label": name, "probability": probability}

    def _has_row(self, source: str) -> bool:
        return source in self._rows or len(self._rows) < _ROWS

    def _row(self, source: str, client: str, size: int) -> dict[str, Any]:
        """The row of a stream, with one more image."""
        new = {"source": source, "client": client, "images": 0, "on_device": 0, "bytes": 0}
        row = self._rows.setdefault(source, new)
        row["images"] += 1
        row["bytes"] += size
        return row

    def _note(self, answered: Answered) -> None:
        job = answered.job
        row = self._row(answered.source, answered.client, len(job.data))
        row["codec"] = job.codec.name if job.codec else "image file"
        row["knob"] = None
        if job.settings is not None and (knob := job.settings.knob()) is not None:
            row["knob"] = getattr(job.settings, knob.field)
        row["status"] = answered.status.name.lower()
        row["seconds"] = answered.seconds
        row["label"] = row["probability"] = None
        if answered.prediction is not None:
            row |= self._seen(answered.prediction)

    def _seen(self, prediction: TaskPrediction) -> dict[str, Any]:
        """`label` and, of classes, `probability` for the table."""
        if self._head.task.name != answers.CLASSES:
            return {"label": self._head.task.words(answers.said(self._head, prediction))}
        (first,) = answers.top(prediction, 1)
        return {"label": first.label or str(first.index), "probability": first.probability}

    def add_picture(self, pictured: Pictured) -> None:
        self._bytes += pictured.bytes
        self._pictures.append(pictured)

    def take_pictures(self) -> list[Pictured]:
        """The latest pictures since the last look."""
        taken = list(self._pictures)
        self._pictures.clear()
        return taken

    def take(self) -> dict[str, Any]:
        """The moment as plain data; another one begins."""
        middle, late = np.percentile(self._times, [50, 99]).tolist() if self._times else (None,) * 2
        taken = {
            "seconds": time.monotonic() - self._since,
            "images": dict(self._statuses),
            "bytes": self._bytes,
            "p50": middle,
            "p99": late,
            "streams": list(self._rows.values()),
        }
        self._clear()
        return taken


def _drawn(image: Image, shape: Shape) -> dict[str, Any]:
    """A reduced image for a page: small ones are not changed."""
    height, width = shape
    kind = "PNG" if height * width <= _LOSSLESS else "JPEG"
    encoded = base64.b64encode(file_of(image, kind)).decode()
    return {
        "source": f"data:image/{kind.lower()};base64,{encoded}",
        "height": height,
        "width": width,
    }
