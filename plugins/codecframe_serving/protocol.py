"""What crosses the link: messages to bytes and back, without any input or output.

A stream is one WebSocket connection. Texts are JSON, for what is said once; binary messages are
for what is said of every image.

    server  Welcome   the head, how it prepares images, codecs and limits
    client  Hello     codec, settings and shape of the frames that follow; may be said again
    server  Ready     the hello was taken; or Refused, with the reason
    client  Frame     sequence number, knob level, payload
    server  Answer    sequence number, what the head sees or why it saw nothing

Answers may come in another order than frames. A client need not wait for `Ready`: messages are
taken in order, and frames after a hello that was refused are answered as bad.
Whatever cannot be read raises `DataError`, before memory is taken for it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, ClassVar, Self, TypeVar

from codecframe import DataError, Shape

VERSION = 1
"""Of the messages; both ends must speak the same."""
SUBPROTOCOL = "codecframe"
"""WebSocket subprotocol that servers of this kind choose."""

IDLE = 4000
"""WebSocket code with which a server closes a stream from which nothing came for too long."""

MAX_TEXT = 1 << 20
"""Characters of a JSON message, at most."""
MAX_HELLO = 16_000
"""Characters of a client's JSON message, at most."""
MAX_SEQUENCE = (1 << 31) - 1
MAX_SIDE = 65535
MAX_TOP = 100
MAX_REASON = 300
_MAX_NAME = 200
_MAX_ITEMS = 100_000
_SOURCE = "link"

_FRAME = struct.Struct(">IB")
"""Sequence number with the shape flag in its top bit, knob level."""
_SHAPE = struct.Struct(">HH")
_HAS_SHAPE = 1 << 31
_ANSWER = struct.Struct(">IBH")
"""Sequence number, status, time at the server in units of `_TICK`."""
_SEEN = struct.Struct(">HH")
"""Class index, probability in 65535ths."""
_TICK = 1e-4
_MAX_TICKS = 65535


class Status(IntEnum):
    """What became of a frame at the server."""

    OK = 0
    BUSY = 1
    """The server's queue is full: send less."""
    TOO_FAST = 2
    """More frames a second than a client may send."""
    BAD = 3
    """The frame is corrupt, too large, or of no accepted stream."""
    FAILED = 4
    """The head failed on it."""


# -- binary messages ----------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """One image on its way to the server.

    Attributes:
        sequence: number of the frame, 0 to `MAX_SEQUENCE`; answers carry it.
        level: knob level, 0 where the codec has no knob.
        payload: the encoding without what settings and shape determine.
        shape: (height, width) where it is not the stream's.
    """

    sequence: int
    level: int
    payload: bytes
    shape: Shape | None = None

    def pack(self) -> bytes:
        """As a binary message: 5 bytes and the payload, 4 more for a shape."""
        flag = 0 if self.shape is None else _HAS_SHAPE
        shape = b"" if self.shape is None else _SHAPE.pack(*self.shape)
        return _FRAME.pack(self.sequence | flag, self.level) + shape + self.payload

    @classmethod
    def unpack(cls, message: bytes) -> Frame:
        """Read a binary message.

        Raises:
            DataError: if it is none.
        """
        if len(message) < _FRAME.size:
            raise DataError(_SOURCE, f"a frame of {len(message)} bytes is truncated")
        first, level = _FRAME.unpack_from(message)
        if not first & _HAS_SHAPE:
            return cls(first, level, message[_FRAME.size :])
        start = _FRAME.size + _SHAPE.size
        if len(message) < start:
            raise DataError(_SOURCE, "a frame ends within its shape")
        height, width = _SHAPE.unpack_from(message, _FRAME.size)
        if not height or not width:
            raise DataError(_SOURCE, f"a frame cannot be {width}x{height}")
        return cls(first & MAX_SEQUENCE, level, message[start:], (height, width))


@dataclass(frozen=True)
class Answer:
    """What the server says to a frame.

    Attributes:
        sequence: the frame's number.
        status: whether there is a prediction.
        seconds: from the frame's arrival to this answer; exact to 0.1 ms, at most 6.5 s.
        top: (class index, probability) of the likeliest classes, likeliest first.
        reason: why there is none.
    """

    sequence: int
    status: Status = Status.OK
    seconds: float = 0.0
    top: tuple[tuple[int, float], ...] = ()
    reason: str = ""

    def pack(self) -> bytes:
        """As a binary message: 7 bytes, and 4 a class or the reason."""
        ticks = min(max(round(self.seconds / _TICK), 0), _MAX_TICKS)
        head = _ANSWER.pack(self.sequence, self.status, ticks)
        if self.status is not Status.OK:
            return head + _shortened(self.reason)
        return head + b"".join(
            _SEEN.pack(index, round(probability * 65535)) for index, probability in self.top
        )

    @classmethod
    def unpack(cls, message: bytes) -> Answer:
        """Read a binary message.

        Raises:
            DataError: if it is none.
        """
        if len(message) < _ANSWER.size:
            raise DataError(_SOURCE, f"an answer of {len(message)} bytes is truncated")
        sequence, code, ticks = _ANSWER.unpack_from(message)
        rest = message[_ANSWER.size :]
        try:
            status = Status(code)
        except ValueError:
            raise DataError(_SOURCE, f"an answer has no status {code}") from None
        if sequence > MAX_SEQUENCE:
            raise DataError(_SOURCE, f"no frame has the number {sequence}")
        if status is not Status.OK:
            if len(rest) > MAX_REASON:
                raise DataError(_SOURCE, "an answer's reason is too long")
            return cls(sequence, status, ticks * _TICK, (), rest.decode(errors="replace"))
        if len(rest) % _SEEN.size or len(rest) > MAX_TOP * _SEEN.size:
            raise DataError(_SOURCE, f"an answer cannot have {len(message)} bytes")
        top = tuple((index, share / 65535) for index, share in _SEEN.iter_unpack(rest))
        return cls(sequence, status, ticks * _TICK, top)


def printable(text: str) -> str:
    """The text with what could move a terminal's cursor replaced: the other end is a stranger."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _shortened(text: str) -> bytes:
    """UTF-8 of at most `MAX_REASON` bytes, cut between characters."""
    return text.encode()[:MAX_REASON].decode(errors="ignore").encode()


# -- texts --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A JSON message; subclasses name their fields."""

    kind: ClassVar[str]

    def pack(self) -> str:
        """As a text message."""
        values = {"type": self.kind, "version": VERSION, **asdict(self)}
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Check the fields of a message.

        Raises:
            DataError: if one is missing, unknown or of another type.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Welcome(Text):
    """The server's first message: what it takes.

    Attributes:
        head: the head's name.
        labels: class names by index, or empty.
        representation: what the head accepts.
        codecs: names of the codecs that the server decodes.
        preprocess: fields of `Preprocess` whose geometry cameras apply; None where the head takes
            images as they are.
        max_message: bytes of a message, at most.
        max_pixels: pixels of a frame, at most.
        max_fps: frames a second of a client, at most.
    """

    kind: ClassVar[str] = "welcome"
    head: str
    labels: tuple[str, ...]
    representation: str
    codecs: tuple[str, ...]
    preprocess: dict[str, Any] | None
    max_message: int
    max_pixels: int
    max_fps: float

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Welcome:
        """Check the fields of a message."""
        fields = _Fields(cls.kind, values)
        return cls(
            head=fields.name("head"),
            labels=fields.names("labels"),
            representation=fields.name("representation"),
            codecs=fields.names("codecs"),
            preprocess=fields.mapping("preprocess", optional=True),
            max_message=fields.integer("max_message", 1, 1 << 40),
            max_pixels=fields.integer("max_pixels", 1, 1 << 40),
            max_fps=fields.number("max_fps"),
        )


@dataclass(frozen=True)
class Hello(Text):
    """What the client's next frames are.

    Attributes:
        codec: the codec's name.
        settings: its settings, all but the knob, which each frame brings.
        emits: names of the representations that it decodes to: a learned codec has its model's
            digest in them, and may have another name at the server.
        shape: (height, width) of frames that do not say theirs.
        top: how many classes an answer shall have.
        head: the head that is expected, or None for whatever the server has.
    """

    kind: ClassVar[str] = "hello"
    codec: str
    settings: dict[str, Any] = field(default_factory=dict)
    emits: tuple[str, ...] = ("pixels",)
    shape: Shape | None = None
    top: int = 1
    head: str | None = None

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Hello:
        """Check the fields of a message."""
        fields = _Fields(cls.kind, values)
        return cls(
            codec=fields.name("codec"),
            settings=fields.mapping("settings") or {},
            emits=fields.names("emits"),
            shape=fields.shape("shape"),
            top=fields.integer("top", 1, MAX_TOP),
            head=None if values.get("head") is None else fields.name("head"),
        )


@dataclass(frozen=True)
class Ready(Text):
    """The hello was taken."""

    kind: ClassVar[str] = "ready"

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Ready:
        """Nothing to check."""
        return cls()


@dataclass(frozen=True)
class Refused(Text):
    """The hello was not taken; the frames that follow it are answered as bad."""

    kind: ClassVar[str] = "refused"
    reason: str

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Refused:
        """Check the field of a message."""
        return cls(_Fields(cls.kind, values).text("reason", MAX_REASON * 4))


T = TypeVar("T", bound=Text)


def read_text(message: str, *kinds: type[T], most: int = MAX_TEXT) -> T:
    """Read a JSON message of at most `most` characters that is one of `kinds`.

    Raises:
        DataError: if it is none of them, of another version, or too long.
    """
    if len(message) > most:
        raise DataError(_SOURCE, f"a message of {len(message):,} characters is too long")
    try:
        values = json.loads(message, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(_SOURCE, f"a message is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise DataError(_SOURCE, "a message is no JSON object")
    for kind in kinds:
        if values.get("type") == kind.kind:
            if values.get("version") != VERSION:
                raise DataError(
                    _SOURCE,
                    f"the other end speaks version {values.get('version')!r:.20}, this {VERSION}",
                )
            return kind.read(values)
    expected = " or ".join(kind.kind for kind in kinds)
    raise DataError(_SOURCE, f"expected {expected}, not {values.get('type')!r:.40}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


class _Fields:
    """Reads the fields of a message, each by its type and range."""

    def __init__(self, kind: str, values: Mapping[str, Any]) -> None:
        self._kind = kind
        self._values = values

    def text(self, name: str, most: int) -> str:
        value = self._values.get(name)
        if not isinstance(value, str) or len(value) > most:
            raise self._wrong(name, f"text of at most {most} characters")
        return value

    def name(self, name: str) -> str:
        if not (value := self.text(name, _MAX_NAME)):
            raise self._wrong(name, "a name")
        return value

    def names(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name)
        if (
            not isinstance(value, list)
            or len(value) > _MAX_ITEMS
            or not all(isinstance(item, str) and len(item) <= _MAX_NAME for item in value)
        ):
            raise self._wrong(name, "a list of names")
        return tuple(value)

    def mapping(self, name: str, *, optional: bool = False) -> dict[str, Any] | None:
        value = self._values.get(name)
        if not (isinstance(value, dict) or (optional and value is None)):
            raise self._wrong(name, "an object")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        value = self._values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(name, f"an integer from {low} to {high}")
        return value

    def number(self, name: str) -> float:
        value = self._values.get(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise self._wrong(name, "a number")
        if not (math.isfinite(value) and 0 < value < 1e12):
            raise self._wrong(name, "a positive number")
        return float(value)

    def shape(self, name: str) -> Shape | None:
        value = self._values.get(name)
        if value is None:
            return None
        if (
            not isinstance(value, list)
            or len(value) != 2
            or not all(isinstance(side, int) and not isinstance(side, bool) for side in value)
            or not all(1 <= side <= MAX_SIDE for side in value)
        ):
            raise self._wrong(name, f"[height, width], each from 1 to {MAX_SIDE}")
        return value[0], value[1]

    def _wrong(self, name: str, expected: str) -> DataError:
        return DataError(_SOURCE, f"{self._kind}: {name!r} must be {expected}")
