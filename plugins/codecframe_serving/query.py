"""What a posted image is, as the query of its URL says it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from codecframe import MAX_LEVELS, PIXELS, DataError, MismatchError, Settings, option
from codecframe_serving.protocol import MAX_SEQUENCE, MAX_SIDE, MAX_TOP
from codecframe_serving.worker import Job, Worker


def read_query(
    parameters: Iterable[tuple[str, str]], worker: Worker
) -> tuple[Callable[[bytes], Job], int]:
    """Read the parameters of a URL: (from what is posted to its job, how many classes the answer
    shall have).

        ?top=3                                                       an image file of any kind
        ?codec=jpeg                                                  self-contained data
        ?codec=jpeg&set=subsampling=4:4:4&level=9&height=32&width=48 a payload

    `set` may come several times; `level` says the knob where `set` does not.

    Raises:
        DataError: if something is unknown, given twice, missing or out of range.
        SettingsError: if the codec has no such setting.
        MismatchError: if the server has no such codec, or the head takes no pixels.
        LimitError: if the image is larger than what is decoded for the head.
    """
    query = _Query.from_source(_values(parameters), "query")
    if query.codec is None:
        if query.changed().keys() - {"top"}:
            raise DataError("query", "needs a codec: only 'top' can be said without one")
        if worker.head.accepts != PIXELS:
            raise MismatchError(f"head {worker.head.name!r} takes no pixels: name the codec")
        return Job, query.top
    codec = worker.named(query.codec)
    if query.height is None and query.width is None:
        if query.set or query.level is not None:
            raise DataError("query", "'set' and 'level' are for a payload, with height and width")
        return partial(Job, codec=codec), query.top
    if query.height is None or query.width is None:
        raise DataError("query", "a payload needs both height and width")
    shape = query.height, query.width
    worker.check(shape)
    settings: Settings = codec.settings_type.parse(query.set)
    if query.level is not None:
        settings = settings.at_level(query.level)
    return partial(Job, codec=codec, settings=settings, shape=shape), query.top


@dataclass(frozen=True, kw_only=True)
class _PictureQuery(Settings):
    """Whose picture is wanted."""

    stream: str = option(low=1, high=64, help="the stream's name, as the page shows it")
    sequence: int = option(low=0, high=MAX_SEQUENCE, help="the frame's number")


def read_picture_query(parameters: Iterable[tuple[str, str]]) -> tuple[str, int]:
    """(name of the stream, number of the frame) of a URL's parameters.

    Raises:
        DataError: if they are not these.
    """
    asked = _PictureQuery.from_source(_values(parameters), "query")
    return asked.stream, asked.sequence


@dataclass(frozen=True, kw_only=True)
class _Query(Settings):
    """The parameters of a URL."""

    codec: str | None = option(None, help="of what is posted")
    top: int = option(1, low=1, high=MAX_TOP, help="how many classes the answer shall have")
    height: int | None = option(None, low=1, high=MAX_SIDE, help="of a payload's image")
    width: int | None = option(None, low=1, high=MAX_SIDE, help="of a payload's image")
    level: int | None = option(  # type: ignore[assignment]  # hides the property
        None, low=0, high=MAX_LEVELS - 1, help="of the knob"
    )
    set: tuple[str, ...] = option((), help="settings, as key=value")


def _values(parameters: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The parameters as plain data: digits are integers, `set` is a list."""
    values: dict[str, Any] = {}
    for name, text in parameters:
        if name == "set":
            values.setdefault(name, []).append(text)
        elif name in values:
            raise DataError("query", f"{name[:40]!r} must be given once")
        else:
            is_number = (
                name not in ("codec", "stream")
                and text.isascii()
                and text.isdecimal()
                and len(text) < 10
            )
            values[name] = int(text) if is_number else text
    return values
