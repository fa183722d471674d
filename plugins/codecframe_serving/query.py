"""What a posted image is, as the query of its URL says it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from codecframe import MAX_LEVELS, PIXELS, Codec, DataError, MismatchError, Settings, Shape
from codecframe_serving.protocol import MAX_SIDE, MAX_TOP
from codecframe_serving.worker import Job, Worker


@dataclass(frozen=True)
class Asked:
    """What a client asks for.

    Attributes:
        codec: the codec of what is posted; None where it is an image file of any kind.
        settings: what a payload was made with; None for self-contained data.
        shape: (height, width) of a payload's image.
        top: how many classes the answer shall have.
    """

    codec: Codec[Any] | None = None
    settings: Settings | None = None
    shape: Shape | None = None
    top: int = 1

    def job(self, data: bytes) -> Job:
        """The job for what was posted."""
        return Job(data, self.codec, self.settings, self.shape)


def read_query(parameters: Iterable[tuple[str, str]], worker: Worker) -> Asked:
    """Read the parameters of a URL.

        ?top=3                                                       an image file of any kind
        ?codec=jpeg                                                  self-contained data
        ?codec=jpeg&set=subsampling=4:4:4&level=9&height=32&width=48 a payload

    `set` may come several times; `level` says the knob where `set` does not.

    Raises:
        DataError: if something is unknown, said twice, missing or out of range.
        SettingsError: if the codec has no such setting.
        MismatchError: if the server has no such codec, or the head takes no pixels.
        LimitError: if the image is larger than what is decoded for the head.
    """
    query = _Query(parameters)
    top = query.integer("top", 1, MAX_TOP) or 1
    if not query.said("codec"):
        query.only(["top"], "needs a codec")
        if worker.head.accepts != PIXELS:
            raise MismatchError(f"head {worker.head.name!r} takes no pixels: name the codec")
        return Asked(top=top)
    codec = worker.named(query.one("codec"))
    height, width = (query.integer(side, 1, MAX_SIDE) for side in ("height", "width"))
    if height is None and width is None:
        query.only(["codec", "top"], "belongs to a payload, which needs height and width")
        return Asked(codec, top=top)
    if height is None or width is None:
        raise DataError("query", "a payload needs both height and width")
    query.only(["codec", "top", "height", "width", "set", "level"], "is unknown")
    worker.check((height, width))
    settings: Settings = codec.settings_type.parse(query.all("set"))
    level = query.integer("level", 0, MAX_LEVELS - 1)
    return Asked(
        codec, settings if level is None else settings.at_level(level), (height, width), top
    )


class _Query:
    """The parameters of a URL, each checked."""

    def __init__(self, parameters: Iterable[tuple[str, str]]) -> None:
        self._parameters = list(parameters)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._parameters if key == name]

    def said(self, name: str) -> bool:
        return bool(self.all(name))

    def one(self, name: str) -> str:
        values = self.all(name)
        if len(values) != 1:
            raise DataError("query", f"{name!r} must be said once")
        return values[0]

    def integer(self, name: str, low: int, high: int) -> int | None:
        if not self.said(name):
            return None
        text = self.one(name)
        if len(text) > 9 or not text.isascii() or not text.isdecimal():
            raise DataError("query", f"{name!r} must be an integer from {low} to {high}")
        if not low <= int(text) <= high:
            raise DataError("query", f"{name!r} must be an integer from {low} to {high}")
        return int(text)

    def only(self, known: Sequence[str], otherwise: str) -> None:
        for name, _ in self._parameters:
            if name not in known:
                raise DataError("query", f"{name[:40]!r} {otherwise}")
