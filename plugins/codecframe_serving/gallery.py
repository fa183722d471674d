"""What a server keeps of one stream's frames, so that pictures that come later find theirs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace

from codecframe import DataError, LayeredSettings, Layers, SettingsError, TaskPrediction
from codecframe_serving.decoding import Job
from codecframe_serving.protocol import Picture

MOST_BYTES = 1 << 20
"""Payloads of one stream that are kept, at most: of task layers and of pictures together."""
_MOST_FRAMES = 4096
_MOST_ASKS = 32
_FRAME_BYTES = 256
"""What keeping a frame takes besides its payload, about."""


@dataclass(frozen=True)
class Seen:
    """A frame that came.

    Attributes:
        sequence: its number.
        job: its payload; with the picture layer once that has come.
        prediction: what the head saw, when it has.
        picture_bytes: of the picture layer; None as long as it has not come.
    """

    sequence: int
    job: Job
    prediction: TaskPrediction | None = None
    picture_bytes: int | None = None


class Gallery:
    """The last frames of one stream, bounded in number and bytes."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, Seen] = OrderedDict()
        self._size = 0
        self._asked: dict[int, asyncio.Future[Seen]] = {}

    def add(self, seen: Seen) -> None:
        """Keep a frame whose picture may come."""
        self._forget(seen.sequence)
        self._seen[seen.sequence] = seen
        self._size += _size(seen)
        while self._size > MOST_BYTES or len(self._seen) > _MOST_FRAMES:
            self._forget(next(iter(self._seen)))

    def find(self, sequence: int) -> Seen | None:
        """The frame of that number, if it is kept."""
        return self._seen.get(sequence)

    def judge(self, sequence: int, prediction: TaskPrediction | None) -> Seen | None:
        """Note what the head saw in a frame; one in which it saw nothing is forgotten."""
        seen = self._seen.get(sequence)
        if seen is None or prediction is None:
            self._forget(sequence)
            return None
        found = self._seen[sequence] = replace(seen, prediction=prediction)
        return found

    def take(self, picture: Picture) -> Seen | None:
        """The frame with the picture that came; None where the client has it no more.

        Raises:
            DataError: if the frame is not kept, or the picture cannot be its.
        """
        seen = self._seen.get(picture.sequence)
        try:
            found = None if picture.payload is None else _with_picture(seen, picture)
        except DataError as error:
            self._settle(picture.sequence, error)
            raise
        if found is None:
            self._settle(picture.sequence, DataError("picture", "the camera has it no more"))
            return None
        self.add(found)
        self._settle(picture.sequence, found)
        return found

    def asking(self, sequence: int) -> tuple[asyncio.Future[Seen], bool]:
        """(what will be the frame with its picture, whether the client must be asked now).

        Raises:
            DataError: if the frame is not kept, or too many are asked for.
        """
        if sequence not in self._seen:
            raise DataError("picture", f"frame {sequence} is not kept, or has no picture layer")
        if sequence in self._asked:
            return self._asked[sequence], False
        if len(self._asked) >= _MOST_ASKS:
            raise DataError("picture", f"{_MOST_ASKS} are asked for already")
        future = self._asked[sequence] = asyncio.get_running_loop().create_future()
        return future, True

    def close(self) -> None:
        """The stream ended: nothing more will come."""
        for sequence in list(self._asked):
            self._settle(sequence, DataError("picture", "the stream ended"))

    def give_up(self, sequence: int) -> None:
        """Nobody waits any more for a picture that was asked for."""
        self._settle(sequence, DataError("picture", "it did not come in time"))

    def _settle(self, sequence: int, result: Seen | DataError) -> None:
        future = self._asked.pop(sequence, None)
        if future is None or future.done():
            return
        if isinstance(result, DataError):
            future.set_exception(result)
            future.exception()  # it may be that nobody waits
        else:
            future.set_result(result)

    def _forget(self, sequence: int) -> None:
        if (seen := self._seen.pop(sequence, None)) is not None:
            self._size -= _size(seen)


def _size(seen: Seen) -> int:
    return len(seen.job.data) + _FRAME_BYTES


def _with_picture(seen: Seen | None, picture: Picture) -> Seen:
    """The frame with a picture layer behind its task layer."""
    if seen is None or seen.picture_bytes is not None:
        raise DataError("picture", f"frame {picture.sequence} does not wait for one")
    job, payload = seen.job, picture.payload or b""
    if not isinstance(job.settings, LayeredSettings):
        raise DataError("picture", f"the codec of frame {picture.sequence} has none")
    try:
        settings = job.settings.replace(picture=picture.level)
    except SettingsError:
        raise DataError("picture", f"has no level {picture.level}") from None
    both = Layers(job.data, payload).packed()
    shown = replace(job, data=both, settings=settings)
    return replace(seen, job=shown, picture_bytes=len(payload))
