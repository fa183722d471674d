"""What crosses the link: messages to bytes and back, without any input or output.

A stream is one WebSocket connection. Texts are JSON, for what is said once; binary messages are
for what is said of every image.

    server  Welcome   the head, how it prepares images, codecs and limits
    client  Hello     codec, settings and shape of the frames that follow; may be said again
    server  Ready     the hello was taken; or Refused, with the reason
    client  Frame     sequence number, knob level, payload: of a codec of layers, the task layer
    server  Answer    sequence number, what the head sees or why it saw nothing; classes are
                      binary, of other tasks it is JSON
    server  Ask       sequence number of a frame whose picture layer is wanted
    client  Picture   sequence number, its level, picture layer; or that it is not kept
    server  Answer    of a picture: whether it was taken
    client  Label     sequence number, what the client's own head saw in a frame that is not sent
    server  Answer    of a label: whether it was taken, without classes

Answers may come in another order than frames. A client need not wait for `Ready`: messages are
taken in order, and frames after a hello that was refused are answered as bad.
Whatever cannot be read raises `DataError`, before memory is taken for it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, TypeVar

from codecframe import DataError, Settings, Shape, as_data_error, option

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
MAX_SEQUENCE = (1 << 30) - 1
MAX_SIDE = 65535
MAX_TOP = 100
MAX_REASON = 300
MAX_SAID = 1 << 20
"""Bytes of what an answer says of an image, at most."""
MAX_LABEL = 1 << 16
"""Bytes of what a label says of an image, at most."""
_MAX_NAME = 200
_SOURCE = "link"

_FRAME = struct.Struct(">IB")
"""Sequence number below the flags in its two top bits, knob level."""
_SHAPE = struct.Struct(">HH")
_HAS_SHAPE = 1 << 31
_OF_PICTURE = 1 << 30
_IS_LABEL = _HAS_SHAPE | _OF_PICTURE
_CLASSES, _JSON = 0, 1
"""What a label holds, in place of the knob level."""
_NOT_KEPT = 255
"""Stands for the level of a picture; there are fewer levels."""
_ANSWER = struct.Struct(">IBH")
"""Sequence number, status, time at the server in units of `_TICK`."""
_IS_SAID = 1 << 7
"""Flag of an answer's status: what follows is JSON."""
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
        if first & _OF_PICTURE:
            raise DataError(_SOURCE, "a picture is not a frame")
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
class Picture:
    """The picture layer of a frame that was sent before.

    Attributes:
        sequence: the frame's number.
        level: the picture's level.
        payload: the layer; None: the camera does not have it, or has it no more.
    """

    sequence: int
    level: int
    payload: bytes | None

    def pack(self) -> bytes:
        """As a binary message: 5 bytes and the layer."""
        level = _NOT_KEPT if self.payload is None else self.level
        return _FRAME.pack(self.sequence | _OF_PICTURE, level) + (self.payload or b"")

    @classmethod
    def unpack(cls, message: bytes) -> Picture:
        """Read a binary message that `is_picture`.

        Raises:
            DataError: if it is none.
        """
        if not is_picture(message):
            raise DataError(_SOURCE, "is not a picture")
        first, level = _FRAME.unpack_from(message)
        if first & _HAS_SHAPE:
            raise DataError(_SOURCE, "a picture has the shape of its frame")
        payload = message[_FRAME.size :]
        if level == _NOT_KEPT and payload:
            raise DataError(_SOURCE, "a picture that is not kept has no bytes")
        return cls(first & MAX_SEQUENCE, level, None if level == _NOT_KEPT else payload)


def is_picture(message: bytes) -> bool:
    """Whether a client's binary message is a picture, and not a frame."""
    return len(message) >= _FRAME.size and bool(message[0] & _OF_PICTURE >> 24)


@dataclass(frozen=True)
class Label:
    """What a client's own head saw in a frame, which is not sent.

    Attributes:
        sequence: the frame's number.
        top: (class index, probability) of the likeliest classes, likeliest first.
        said: in place of `top`, what a head of another task says: the text of a JSON object.
    """

    sequence: int
    top: tuple[tuple[int, float], ...] = ()
    said: str = ""

    def pack(self) -> bytes:
        """As a binary message: 5 bytes, and 4 a class or the JSON."""
        kind = _JSON if self.said else _CLASSES
        head = _FRAME.pack(self.sequence | _IS_LABEL, kind)
        return head + (self.said.encode() if self.said else _packed_top(self.top))

    @classmethod
    def unpack(cls, message: bytes) -> Label:
        """Read a binary message that `is_label`.

        Raises:
            DataError: if it is none.
        """
        if not is_label(message):
            raise DataError(_SOURCE, "is not a label")
        first, kind = _FRAME.unpack_from(message)
        rest = message[_FRAME.size :]
        if kind == _JSON:
            return cls(first & MAX_SEQUENCE, said=_said(rest, MAX_LABEL))
        if kind != _CLASSES or not rest:
            raise DataError(_SOURCE, "a label says nothing")
        return cls(first & MAX_SEQUENCE, _unpacked_top(rest))


def is_label(message: bytes) -> bool:
    """Whether a client's binary message is a label, and neither picture nor frame."""
    return len(message) >= _FRAME.size and message[0] & _IS_LABEL >> 24 == _IS_LABEL >> 24


@dataclass(frozen=True)
class Answer:
    """What the server says to a frame.

    Attributes:
        sequence: the frame's number.
        status: whether there is a prediction.
        seconds: from the frame's arrival to this answer; exact to 0.1 ms, at most 6.5 s.
        top: (class index, probability) of the likeliest classes, likeliest first.
        reason: why there is none.
        of_picture: it is about the frame's picture layer, and without a prediction.
        said: in place of `top`, what a head of another task says: the text of a JSON object.
    """

    sequence: int
    status: Status = Status.OK
    seconds: float = 0.0
    top: tuple[tuple[int, float], ...] = ()
    reason: str = ""
    of_picture: bool = False
    said: str = ""

    def pack(self) -> bytes:
        """As a binary message: 7 bytes, and 4 a class, the JSON or the reason."""
        ticks = min(max(round(self.seconds / _TICK), 0), _MAX_TICKS)
        first = self.sequence | (_OF_PICTURE if self.of_picture else 0)
        status = self.status | (_IS_SAID if self.said else 0)
        head = _ANSWER.pack(first, status, ticks)
        if self.status is not Status.OK:
            return head + _shortened(self.reason)
        if self.said:
            return head + self.said.encode()
        return head + _packed_top(self.top)

    @classmethod
    def unpack(cls, message: bytes) -> Answer:
        """Read a binary message.

        Raises:
            DataError: if it is none.
        """
        if len(message) < _ANSWER.size:
            raise DataError(_SOURCE, f"an answer of {len(message)} bytes is truncated")
        first, code, ticks = _ANSWER.unpack_from(message)
        sequence, of_picture = first & ~_OF_PICTURE, bool(first & _OF_PICTURE)
        rest = message[_ANSWER.size :]
        try:
            status = Status(code & ~_IS_SAID)
        except ValueError:
            raise DataError(_SOURCE, f"an answer has no status {code}") from None
        if sequence > MAX_SEQUENCE:
            raise DataError(_SOURCE, f"no frame has the number {sequence}")
        if status is not Status.OK:
            if len(rest) > MAX_REASON:
                raise DataError(_SOURCE, "an answer's reason is too long")
            reason = rest.decode(errors="replace")
            return cls(sequence, status, ticks * _TICK, (), reason, of_picture)
        if code & _IS_SAID:
            return cls(sequence, status, ticks * _TICK, of_picture=of_picture, said=_said(rest))
        return cls(sequence, status, ticks * _TICK, _unpacked_top(rest), of_picture=of_picture)


def _packed_top(top: tuple[tuple[int, float], ...]) -> bytes:
    return b"".join(_SEEN.pack(index, round(probability * 65535)) for index, probability in top)


def _unpacked_top(data: bytes) -> tuple[tuple[int, float], ...]:
    if len(data) % _SEEN.size or len(data) > MAX_TOP * _SEEN.size:
        raise DataError(_SOURCE, f"classes cannot have {len(data)} bytes")
    return tuple((index, share / 65535) for index, share in _SEEN.iter_unpack(data))


def _said(data: bytes, most: int = MAX_SAID) -> str:
    """The JSON text of an answer, which is an object."""
    if len(data) > most:
        raise DataError(_SOURCE, f"an answer of {len(data):,} bytes is too long")
    with as_data_error(_SOURCE, ValueError, saying="an answer is not text"):
        text = data.decode()
    read_object(text)
    return text


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
class Text(Settings):
    """A JSON message; subclasses declare its fields."""

    kind: ClassVar[str]

    def pack(self) -> str:
        """As a text message."""
        values = {"type": self.kind, "version": VERSION, **self.to_dict()}
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True)
class Welcome(Text):
    """The server's first message: what it takes."""

    kind: ClassVar[str] = "welcome"
    head: str = option(low=1, high=_MAX_NAME, help="the head's name")
    labels: tuple[str, ...] = option(high=_MAX_NAME, help="class names by index, or empty")
    representation: str = option(low=1, high=_MAX_NAME, help="what the head accepts")
    codecs: tuple[str, ...] = option(high=_MAX_NAME, help="codecs that the server decodes")
    preprocess: dict[str, Any] | None = option(
        help="fields of `Preprocess` whose geometry cameras apply; none where the head takes "
        "images as they are"
    )
    max_message: int = option(low=1, high=1 << 40, help="bytes of a message, at most")
    max_pixels: int = option(low=1, high=1 << 40, help="pixels of a frame, at most")
    max_fps: float = option(low=1e-9, high=1e12, help="frames a second of a client, at most")
    pictures: bool = option(False, help="whether it takes picture layers")
    task: str = option("classification", low=1, high=_MAX_NAME, help="the head's task")
    cascades: bool = option(False, help="whether it takes labels in place of frames")


@dataclass(frozen=True)
class Hello(Text):
    """What the client's next frames are."""

    kind: ClassVar[str] = "hello"
    codec: str = option(low=1, high=_MAX_NAME, help="the codec's name")
    settings: dict[str, Any] = option({}, help="all but the knob, which each frame brings")
    emits: tuple[str, ...] = option(
        ("pixels",),
        high=_MAX_NAME,
        help="representations that it decodes to: a learned codec has its model's digest in them, "
        "and may have another name at the server",
    )
    shape: tuple[int, int] | None = option(
        None, low=1, high=MAX_SIDE, help="(height, width) of frames that do not say theirs"
    )
    top: int = option(1, low=1, high=MAX_TOP, help="how many classes an answer shall have")
    head: str | None = option(
        None, low=1, high=_MAX_NAME, help="that is expected; none: whatever the server has"
    )
    says: bool = option(
        False, help="whether it reads answers of other tasks than classification, which are JSON"
    )
    audits: bool = option(
        False, help="each frame is the one of the number before it once more, without loss"
    )
    promised: float | None = option(
        None, low=0.0, high=1.0, help="share of audited frames that agree with that, at least"
    )
    pictures: bool = option(False, help="whether it keeps pictures, to send them when asked")


@dataclass(frozen=True)
class Ready(Text):
    """The hello was taken."""

    kind: ClassVar[str] = "ready"


@dataclass(frozen=True)
class Refused(Text):
    """The hello was not taken; the frames that follow it are answered as bad."""

    kind: ClassVar[str] = "refused"
    reason: str = option(high=MAX_REASON * 4, help="why")


@dataclass(frozen=True)
class Ask(Text):
    """The picture layer of a frame is wanted; only a client that keeps pictures is asked."""

    kind: ClassVar[str] = "ask"
    sequence: int = option(low=0, high=MAX_SEQUENCE, help="of the frame")


T = TypeVar("T", bound=Text)


def read_text(message: str, *kinds: type[T], most: int = MAX_TEXT) -> T:
    """Read a JSON message of at most `most` characters that is one of `kinds`.

    Raises:
        DataError: if it is none of them, of another version, or too long.
    """
    if len(message) > most:
        raise DataError(_SOURCE, f"a message of {len(message):,} characters is too long")
    values = read_object(message)
    for kind in kinds:
        if values.get("type") == kind.kind:
            if values.get("version") != VERSION:
                raise DataError(
                    _SOURCE,
                    f"the other end speaks version {values.get('version')!r:.20}, this {VERSION}",
                )
            known = {n: values[n] for n in kind.__dataclass_fields__ if n in values}
            return kind.from_source(known, f"{_SOURCE}: {kind.kind}")
    expected = " or ".join(kind.kind for kind in kinds)
    raise DataError(_SOURCE, f"expected {expected}, not {values.get('type')!r:.40}")


def read_object(text: str) -> dict[str, Any]:
    """Read the text of a JSON object.

    Raises:
        DataError: if it is none.
    """
    with as_data_error(_SOURCE, ValueError, RecursionError, saying="a message is not JSON"):
        values = json.loads(text, parse_constant=_no_constant)
    if not isinstance(values, dict):
        raise DataError(_SOURCE, "a message is not a JSON object")
    return values


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")
