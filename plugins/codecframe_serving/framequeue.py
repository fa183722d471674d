"""A camera's images on their way to the encoder, at a frame rate; each is taken once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from codecframe import Image

_WAITING, _WAITING_LIVE = 4, 1
"""Images that are read ahead; a live camera wants none of them to get old."""
_LATE = 1.0
"""Seconds that may be caught up with."""


class Item(Protocol):
    """An image of a set, or a frame."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def read(self) -> Image:
        """The image.

        Raises:
            DataError: if it cannot be read.
        """
        ...


class FrameQueue:
    """Takes images from a source.

    Args:
        fps: images a second; None takes one as soon as there is room.
        live: drop images for which there is no room, instead of letting the source wait.
        stride: says of how many images one is sent.
        drop: told the name of an image that is dropped, and why.
    """

    def __init__(
        self,
        fps: float | None,
        *,
        live: bool,
        stride: Callable[[], int],
        drop: Callable[[str, str], None],
    ) -> None:
        self._fps, self._live = fps, live
        self._stride, self._drop = stride, drop
        self._queue: asyncio.Queue[Item | None] = asyncio.Queue(_WAITING_LIVE if live else _WAITING)
        self._held: Item | None = None
        self._ended = False
        self._error: Exception | None = None

    async def run(self, items: Iterable[Item]) -> None:
        """Take images to the last."""
        try:
            await self._take(items)
        except Exception as error:  # of the source; `next` raises it when the rest is sent
            self._error = error
        await self._queue.put(None)

    async def next(self, patience: float) -> Item | None:
        """The next image, which is held until `release`; None if there is none for so long.

        Raises:
            DataError: what the source raised.
        """
        if self._held is None and not self._ended:
            try:
                async with asyncio.timeout(patience):
                    self._held = await self._queue.get()
            except TimeoutError:
                return None
            self._ended = self._held is None
            if self._ended and self._error is not None:
                raise self._error
        return self._held

    def release(self) -> None:
        """The image that is held was dealt with."""
        self._held = None

    @property
    def has_ended(self) -> bool:
        """Whether all images were taken and dealt with."""
        return self._ended

    @property
    def has_waiting(self) -> bool:
        """Whether an image waits to be dealt with."""
        return self._held is not None or not self._queue.empty()

    def rest(self) -> Iterator[str]:
        """Names of the images that were taken and not dealt with."""
        if self._held is not None:
            yield self._held.name
        while not self._queue.empty():
            if (item := self._queue.get_nowait()) is not None:
                yield item.name

    async def _take(self, items: Iterable[Item]) -> None:
        loop = asyncio.get_running_loop()
        source = iter(items)
        due, number = loop.time(), 0
        while True:
            await asyncio.sleep(max(due - loop.time(), 0))
            item = await asyncio.to_thread(next, source, None)  # a camera makes one wait
            if item is None:
                return
            await self._offer(item, number)
            number += 1
            if self._fps:
                step = 1 if self._live else self._stride()
                due = max(due, loop.time() - _LATE) + step / self._fps

    async def _offer(self, item: Item, number: int) -> None:
        """Put an image into the queue, or drop it."""
        if not self._live:
            await self._queue.put(item)
        elif number % self._stride():
            self._drop(item.name, f"one frame in {self._stride()} is sent")
        elif self._queue.full():
            self._drop(item.name, "the link is behind")
        else:
            self._queue.put_nowait(item)
