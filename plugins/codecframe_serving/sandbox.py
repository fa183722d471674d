"""Decoding in processes that can be ended: a hang, a crash or a bomb costs one image.

The parent sends jobs, and reads results as plain numbers and bytes: nothing that a decoding process
says is run or unpickled here.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import math
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from codecframe import (
    PIXELS,
    Codec,
    CodecframeError,
    DataError,
    Image,
    Latents,
    LatentSpace,
    LimitError,
    MismatchError,
    PluginError,
    Preprocess,
    Representation,
    SettingsError,
    Shape,
    cpu_count,
    limit_pixels,
    limit_threads,
)
from codecframe.core import registry
from codecframe_serving import confine
from codecframe_serving.decoding import GREY, Decoder, Job, by_codec, file_of, read_file, reduced

_START_SECONDS = 120.0
"""For a process to start, and to load a codec's libraries before it is given anything."""
_HEADER_BYTES = 4096
_REASON_CHARACTERS = 300
_NONE = -1
"""Stands for a job where several are decoded at once."""
_FILE = ""
"""Stands for a codec where a job is an image file."""
_ERRORS: Mapping[str, Callable[[str, str], CodecframeError]] = {
    "data": DataError,
    "limit": lambda source, reason: LimitError(reason),
    "mismatch": lambda source, reason: MismatchError(reason),
    "later": lambda source, reason: LaterError(),
    "other": PluginError,
}
_SLOW_SECONDS = 0.015
"""Of a processor, for one image, after which it has taken long."""
_CALL_SECONDS = 0.03
"""Of a processor, for the images of one call, after which the others are left for later."""
_NICENESS = 10
"""Of all processes but one, which is kept for quick images: it need not share its core with them.
Nobody can lower it again without privileges."""
_FLUSH_SECONDS = 0.02
"""What was decoded in less is answered together."""

_KINDS = {
    "data": (DataError, SettingsError),
    "limit": (LimitError, MemoryError),
    "mismatch": (MismatchError,),
}


@dataclass(frozen=True)
class Confinement:
    """What decoding processes do, and may do.

    Attributes:
        codecs: what finds each codec, by its name: a name or a model file.
        accepts: what the head accepts.
        geometry: fields of `Preprocess` that bring images to what the head looks at; None leaves
            that to the parent.
        max_pixels: pixels of an image, at most.
        seconds: for one image.
        memory: bytes that a process may take for an image.
    """

    codecs: Mapping[str, str]
    accepts: Representation = PIXELS
    geometry: Mapping[str, Any] | None = None
    max_pixels: int = 1 << 24
    seconds: float = 5.0
    memory: int = 1 << 30


class Sandbox:
    """Processes that decode.

    Args:
        confinement: what they do, and may do.
        count: how many there are; one for each core by default.
    """

    def __init__(self, confinement: Confinement, count: int | None = None) -> None:
        self._confinement = confinement
        count = count or cpu_count()
        self._children = [_Child(confinement, _NICENESS if n else 0) for n in range(count)]
        self._idle = list(self._children)
        self._freed = threading.Condition()
        atexit.register(self.close)

    @property
    def final_shape(self) -> Shape | None:
        """(height, width) of all images that come back; None where they differ."""
        geometry = self._confinement.geometry
        return None if geometry is None else Preprocess.of(geometry).final_shape

    def start(self) -> None:
        """Start all processes, so that the first images need not wait for them.

        Raises:
            MismatchError: if one does not start.
        """
        with ThreadPoolExecutor(len(self._children)) as threads:
            list(threads.map(_Child.start, self._children))

    def decode(
        self,
        jobs: Sequence[Job],
        slow: Callable[[int], None] | None = None,
        *,
        apart: bool = False,
    ) -> list[Any]:
        """What the head takes, or an exception, for each job; a process takes all of them.

        Waits for a process that is free.

        Args:
            jobs: what to decode.
            slow: told the number of each job that took long; then jobs after it may be left
                undone, with a `LaterError`.
            apart: not by the process that is kept for quick images, where there are several.
        """
        decoded: list[Any] = [None] * len(jobs)
        with self._child(apart=apart) as child:
            for codec, indices in by_codec(jobs):
                some = [jobs[index] for index in indices]
                found = child.decode(codec, some, numbered(slow, indices))
                for index, item in zip(indices, found, strict=True):
                    decoded[index] = item
        return decoded

    def picture(self, job: Job, side: int) -> tuple[Image, Shape]:
        """The image of a job, reduced to at most `side`, and the (height, width) that it had.

        Raises:
            CodecframeError: if it cannot be rebuilt.
        """
        with self._child(apart=True) as child:
            return child.picture(job, side)

    def close(self) -> None:
        """End all processes."""
        atexit.unregister(self.close)
        for child in self._children:
            child.close()

    @contextlib.contextmanager
    def _child(self, *, apart: bool) -> Iterator[_Child]:
        kept = self._children[0] if apart and len(self._children) > 1 else None
        with self._freed:
            self._freed.wait_for(lambda: any(child is not kept for child in self._idle))
            child = min((one for one in self._idle if one is not kept), key=self._children.index)
            self._idle.remove(child)
        try:
            yield child
        finally:
            if child.has_ended:  # the next images need not wait until it is there again
                threading.Thread(target=self._restart, args=(child,), daemon=True).start()
            else:
                self._free(child)

    def _restart(self, child: _Child) -> None:
        with contextlib.suppress(MismatchError):
            child.start()
        self._free(child)

    def _free(self, child: _Child) -> None:
        with self._freed:
            self._idle.append(child)
            self._freed.notify_all()


class LaterError(CodecframeError):
    """Not decoded, since an image before it took long: ask again."""


class _DiedError(Exception):
    """A process does not answer any more; says why."""


class _TooLongError(_DiedError):
    """A process took too long, and was ended."""


class DecodingEndedError(DataError):
    """A process that decoded this image took too long or broke off, and was ended."""


class _Child:
    """One process, started when it is needed; used by one thread at a time."""

    def __init__(self, confinement: Confinement, niceness: int) -> None:
        self._confinement = confinement
        self._niceness = niceness
        self._process: Any = None
        self._pipe: Connection | None = None
        self._is_closed = False
        self._loaded: set[str] = set()
        self._known: set[str] = set()
        self._current: Any = None
        """The number of the job that is being decoded, as the process says."""

    @property
    def has_ended(self) -> bool:
        """Whether it was ended, and not started again."""
        return self._pipe is None

    def start(self) -> None:
        """Start it, with all that it had loaded before."""
        for key in sorted({_FILE, *self._known}):
            self._ready(key)

    def decode(
        self,
        codec: Codec[Any] | None,
        jobs: Sequence[Job],
        slow: Callable[[int], None] | None = None,
    ) -> list[Any]:
        """What the head takes, or an exception, for each job of a codec.

        Where a process breaks off, what it has not answered is decoded again, one by one: only
        what breaks it alone is to blame. What took too long is not tried again, and the rest may
        be left undone.
        """
        found: list[Any] = []
        try:
            for item, seconds in self._ask("decode", codec, jobs, int(slow is not None)):
                if slow is not None and seconds > _SLOW_SECONDS:
                    slow(len(found))
                found.append(item)
        except _DiedError as error:
            ended = DecodingEndedError(codec.name if codec else "image", error)
            if len(jobs) == 1:
                return [ended]
            late = self._current.value if isinstance(error, _TooLongError) else _NONE
            for number in range(len(found), len(jobs)):
                if number == late:
                    found.append(ended)
                elif late != _NONE and slow is not None:
                    found.append(LaterError())
                else:
                    found += self.decode(codec, [jobs[number]])
        except CodecframeError as error:  # there is no process to be had
            found += [error] * (len(jobs) - len(found))
        return found

    def picture(self, job: Job, side: int) -> tuple[Image, Shape]:
        try:
            ((item, _),) = self._ask("picture", job.codec, [job], side)
        except _DiedError as error:
            raise DecodingEndedError("image", error) from None
        if isinstance(item, Exception):
            raise item
        picture: tuple[Image, Shape] = item
        return picture

    def close(self) -> None:
        """End the process for good: one that another thread starts just now, too."""
        self._is_closed = True
        self.end()

    def end(self) -> None:
        """End the process at once; also while another thread starts it, or ends it itself."""
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if process is not None:
            process.kill()
            process.join(1)
        if pipe is not None:
            pipe.close()
        self._loaded.clear()

    def _ask(
        self, what: str, codec: Codec[Any] | None, jobs: Sequence[Job], option: int
    ) -> Iterator[tuple[Any, float]]:
        """Answers to jobs of one codec, in order, and the seconds that each took.

        `option` is the side of a picture, or whether jobs may be left undone.
        """
        key = codec.name if codec else _FILE
        pipe = self._ready(key)
        try:
            sent = [(job.data, job.settings, job.shape) for job in jobs]
            pipe.send((what, key, option, sent))
            left = len(jobs)
            while left:
                answers = self._answers(pipe, what, left)
                yield from answers
                left -= len(answers)
        except _DiedError:
            self.end()
            raise
        except Exception as error:  # it has gone, or says what is not an answer
            self.end()
            raise _DiedError(f"decoding broke off ({type(error).__name__})") from None

    def _ready(self, key: str) -> Connection:
        """The pipe to a process that has loaded a codec.

        Raises:
            MismatchError: if there is none to be had, which is not the image's fault.
        """
        try:
            pipe = self._pipe or self._start()
            if key not in self._loaded:
                pipe.send(("load", key, 0, []))
                self._await(pipe, _START_SECONDS)
                pipe.recv_bytes(_HEADER_BYTES)
                self._loaded.add(key)
                self._known.add(key)
            return pipe
        except (OSError, EOFError, _DiedError) as error:
            self.end()
            raise MismatchError(f"no decoding process for {key or 'images'}: {error!r}") from None

    def _start(self) -> Connection:
        context = _context()
        pipe, theirs = context.Pipe()
        self._pipe = pipe
        self._current = context.RawValue("i", _NONE)
        process = context.Process(
            target=_work,
            args=(theirs, self._confinement, self._current, self._niceness),
            daemon=True,
            name="codecframe-decode",
        )
        process.start()
        self._process = process
        theirs.close()
        if self._is_closed:  # Python would wait for it at its exit, and it ignores SIGTERM
            raise _DiedError("the server ends")
        ours: Connection = pipe
        return ours

    def _await(self, pipe: Connection, seconds: float) -> None:
        if not pipe.poll(seconds):
            raise _TooLongError(f"decoding takes over {seconds:g} s")

    def _answers(self, pipe: Connection, what: str, most: int) -> list[tuple[Any, float]]:
        """The next answers: what was decoded, or the exception that is told of; its seconds."""
        self._await(pipe, self._confinement.seconds)
        said = json.loads(pipe.recv_bytes(_HEADER_BYTES * most))
        if not 1 <= len(said) <= most:
            raise ValueError("answers")
        space = self._space if what == "decode" else None
        shapes = [() if "error" in one else self._shape(one["shape"], space) for one in said]
        sizes = [math.prod(shape) if shape else 0 for shape in shapes]
        values = np.empty(sum(sizes), "uint8" if space is None else "int32")
        if values.nbytes and pipe.recv_bytes_into(values.data.cast("B")) != values.nbytes:
            raise ValueError("size")
        parts = np.split(values, list(itertools.accumulate(sizes))[:-1])
        return [
            (
                self._made(what, one, part.reshape(shape)) if shape else _told(one),
                float(one.get("seconds", 0)),
            )
            for one, shape, part in zip(said, shapes, parts, strict=True)
        ]

    def _shape(self, sides: Sequence[int], space: LatentSpace | None) -> tuple[int, int, int]:
        """The shape of an array, checked before memory is taken for it."""
        first, second, third = map(int, sides)
        channels = 3 if space is None else space.channels
        most = channels * max(self._confinement.max_pixels, 1 << 12)
        if min(first, second, third) < 1 or first * second * third > most:
            raise ValueError("shape")
        return first, second, third

    def _made(self, what: str, said: Mapping[str, Any], values: Any) -> Any:
        """What an answer tells of: an image, latents, or a picture with the shape it had."""
        if what == "decode" and self._space is None:
            return values
        shape = (int(said["height"]), int(said["width"]))
        if what == "picture" or self._space is None:
            return values, shape
        return Latents(self._space, values, int(said["level"]), shape)

    @property
    def _space(self) -> LatentSpace | None:
        space = self._confinement.accepts
        return space if isinstance(space, LatentSpace) else None


def numbered(
    slow: Callable[[int], None] | None, indices: Sequence[int]
) -> Callable[[int], None] | None:
    """`slow`, told the numbers of some jobs among themselves, which are `indices` among all."""
    return None if slow is None else lambda number: slow(indices[number])


def _context() -> Any:
    """How processes start: forked from one that is small, where the system can."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["codecframe_serving.zygote"])
    return context


# -- in the process -----------------------------------------------------------------------


def _work(pipe: Connection, confinement: Confinement, current: Any, niceness: int) -> None:
    """Decode until the parent has gone."""
    confine.detach()
    confine.be_nice(niceness)
    server = _Server(pipe, confinement, current)
    with contextlib.suppress(EOFError, OSError), limit_threads(1):
        while True:
            server.serve(*pipe.recv())


class _Server:
    """What a decoding process does for its parent."""

    def __init__(self, pipe: Connection, confinement: Confinement, current: Any) -> None:
        self._pipe = pipe
        self._confinement = confinement
        self._current = current
        self._codecs: dict[str, Codec[Any] | None] = {_FILE: None}
        self._said: list[dict[str, Any]] = []
        self._arrays: list[Any] = []
        geometry = confinement.geometry
        prepare = (lambda image: image) if geometry is None else Preprocess.of(geometry).geometry
        self._decoder = Decoder(confinement.accepts, prepare, confinement.max_pixels)

    def serve(self, what: str, key: str, option: int, sent: Sequence[tuple[Any, Any, Any]]) -> None:
        """Answer one request."""
        if what == "load":
            self._load(key)
            self._pipe.send_bytes(b"loaded")
            return
        codec = self._codecs[key]
        jobs = [Job(data, codec, settings, shape) for data, settings, shape in sent]
        if what == "picture":
            self._limit_seconds(1)
            self._note(lambda: self._picture(jobs[0], option), key)
        elif codec is not None and self._confinement.accepts != PIXELS:
            self._limit_seconds(len(jobs))
            self._current.value = _NONE
            for item in self._decoder.decode_alike(codec, jobs):
                self._note(partial(_flat, item), key)
        else:
            self._one_by_one(codec, jobs, key, may_leave=bool(option))
        self._flush()

    def _one_by_one(
        self, codec: Codec[Any] | None, jobs: Sequence[Job], key: str, *, may_leave: bool
    ) -> None:
        """Pixels of one image after the other: what took long is told at once."""
        flushed, begun = 0.0, time.process_time()
        for number, job in enumerate(jobs):
            started = time.process_time()
            if may_leave and number and started - begun > _CALL_SECONDS:
                self._said.append({"error": "later", "source": "", "reason": ""})
                continue
            self._current.value = number
            if time.monotonic() - flushed > _FLUSH_SECONDS:
                self._flush()
                self._limit_seconds(1)
                flushed = time.monotonic()
            (item,) = self._decoder.decode_alike(codec, [job])
            self._note(partial(_flat, item), key)
            self._said[-1]["seconds"] = time.process_time() - started

    def _load(self, key: str) -> None:
        """Load a codec and what it needs, with an image of our own, before limits are set."""
        confine.release()
        if key and key not in self._codecs:
            self._codecs[key] = registry.default().codec(self._confinement.codecs[key])
        codec = self._codecs[key]
        with contextlib.suppress(Exception), limit_pixels(self._confinement.max_pixels):
            if codec is None:
                read_file(file_of(GREY))
                read_file(b"no image")
            else:
                job = Job(codec.encode(GREY, codec.settings_type()), codec)
                self._decoder.decode_alike(codec, [job])
        confine.confine(self._confinement.memory)

    def _limit_seconds(self, images: int) -> None:
        confine.limit_seconds(2 * self._confinement.seconds * images)

    def _picture(self, job: Job, side: int) -> tuple[dict[str, Any], Any]:
        image = self._decoder.picture(job)
        return {"height": image.shape[0], "width": image.shape[1]}, reduced(image, side)

    def _note(self, make: Callable[[], tuple[dict[str, Any], Any]], key: str) -> None:
        """Keep what was made, or what was wrong, until it is told."""
        try:
            said, values = make()
            self._said.append({**said, "shape": values.shape})
            self._arrays.append(np.ascontiguousarray(values))
        except Exception as error:
            source = getattr(error, "source", getattr(error, "plugin", key or "image"))
            self._said.append(
                {"error": _kind(error), "source": str(source)[:80], "reason": _reason(error)}
            )

    def _flush(self) -> None:
        """Tell what was kept."""
        if self._said:
            self._pipe.send_bytes(json.dumps(self._said).encode())
        if self._arrays:
            buffers = [array.data.cast("B") for array in self._arrays]
            self._pipe.send_bytes(buffers[0] if len(buffers) == 1 else b"".join(buffers))
        self._said, self._arrays = [], []


def _flat(item: Any) -> tuple[dict[str, Any], Any]:
    """A decoded item as plain data and an array.

    Raises:
        Exception: the item, where it is one.
    """
    if isinstance(item, Exception):
        raise item
    if isinstance(item, Latents):
        height, width = item.shape
        return {"height": height, "width": width, "level": item.level}, item.values
    return {}, item


def _told(said: Mapping[str, Any]) -> CodecframeError:
    """The exception that an answer tells of."""
    return _ERRORS[said["error"]](str(said["source"]), str(said["reason"]))


def _kind(error: Exception) -> str:
    for name, kinds in _KINDS.items():
        if isinstance(error, kinds):
            return name
    return "other"


def _reason(error: Exception) -> str:
    """An error's text without its source, which the parent puts before it again."""
    text = str(error)
    for source in (getattr(error, "source", None), getattr(error, "plugin", None)):
        if source is not None:
            text = text.removeprefix(f"{source}: ").removeprefix(f"plugin {source!r}: ")
    return text[:_REASON_CHARACTERS]
