"""Memory for images under way: so many bytes in all, whoever they belong to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from codecframe import CodecframeError


class BusyError(CodecframeError):
    """More is asked than can be answered; ask again later."""


class Room:
    """So many bytes, shared by all; used from one event loop.

    What is larger than the whole room gets it alone, so that nothing waits for ever.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.taken = 0

    @contextmanager
    def claim(self) -> Iterator[Claim]:
        """A claim that grows at once or not at all; given back at the end of the block."""
        claim = Claim(self, 0)
        try:
            yield claim
        finally:
            self.give_back(claim.size)

    @asynccontextmanager
    async def waited_for(self, size: int) -> AsyncIterator[Claim]:
        """Wait until there is room, in order of arrival; given back at the end of the block."""
        if self._waiting or not self.fits(size):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                self._leave(size, turn)
                raise
        else:
            self.taken += size
        claim = Claim(self, size)
        try:
            yield claim
        finally:
            self.give_back(claim.size)

    def fits(self, size: int) -> bool:
        """Whether there is room for so many bytes more."""
        return not self.taken or self.taken + size <= self._size

    def _leave(self, size: int, turn: asyncio.Future[None]) -> None:
        """Who waited has gone, perhaps just when it was its turn."""
        if turn.done() and not turn.cancelled():
            self.give_back(size)
        else:
            self._waiting = deque(entry for entry in self._waiting if entry[1] is not turn)
            self.give_back(0)

    def give_back(self, size: int) -> None:
        """So many bytes are free again: whose turn it is gets them."""
        self.taken -= size
        while self._waiting and self.fits(self._waiting[0][0]):
            wanted, turn = self._waiting.popleft()
            if not turn.done():
                self.taken += wanted
                turn.set_result(None)


class Claim:
    """Bytes that someone has taken of a room."""

    def __init__(self, room: Room, size: int) -> None:
        self._room = room
        self.size = size

    def grow(self, size: int) -> None:
        """Take so many bytes more.

        Raises:
            BusyError: if there is no room.
        """
        if not self._room.fits(size):
            raise BusyError("the server has no memory left for more images")
        self._room.taken += size
        self.size += size

    def shrink(self, size: int) -> None:
        """Keep so many bytes at most."""
        if size < self.size:
            freed, self.size = self.size - size, size
            self._room.give_back(freed)
