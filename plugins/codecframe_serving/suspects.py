"""Whose images broke off decoding: theirs are decoded one by one, apart from everybody else's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from codecframe_serving.room import BusyError

APART_SECONDS = 600.0
"""For which the images of an address are decoded apart after one of them broke decoding off."""
_MOST_WAITING = 32
_MOST_KEPT = 4096


class Suspects:
    """Network addresses whose images took too long to decode, or crashed a decoder.

    Args:
        seconds: for which an address is one of them.
    """

    def __init__(self, seconds: float = APART_SECONDS) -> None:
        self._seconds = seconds
        self._until: dict[str, float] = {}
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    def add(self, address: str) -> None:
        """An image of this address broke decoding off."""
        self._until.pop(address, None)
        if len(self._until) >= _MOST_KEPT:
            del self._until[next(iter(self._until))]  # the one that was added before the others
        self._until[address] = time.monotonic() + self._seconds

    def __contains__(self, address: str) -> bool:
        return self._until.get(address, 0.0) > time.monotonic()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until no other image of a suspect is decoded.

        Raises:
            BusyError: at once, if too many wait already.
        """
        if self._waiting >= _MOST_WAITING:
            raise BusyError("images of this address took too long to decode; try again later")
        self._waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1
