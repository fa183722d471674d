"""Whose images are decoded apart from everybody else's, so that the others do not wait for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from codecframe_serving.room import BusyError

_MOST_KEPT = 4096


class Apart:
    """Network addresses that were noted lately, and the places that their images share.

    Args:
        seconds: for which an address is one of them.
        places: images at a time.
        waiting: images that may wait for a place.
    """

    def __init__(self, seconds: float, places: int, waiting: int) -> None:
        self._seconds = seconds
        self._until: dict[str, float] = {}
        self._places = asyncio.Semaphore(places)
        self._most = places + waiting
        self._there = 0

    def add(self, address: str) -> None:
        """Note an address; from any thread."""
        self._until.pop(address, None)
        if len(self._until) >= _MOST_KEPT:
            del self._until[next(iter(self._until))]  # the one that was added before the others
        self._until[address] = time.monotonic() + self._seconds

    def __contains__(self, address: str) -> bool:
        return self._until.get(address, 0.0) > time.monotonic()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place, as soon as one is free.

        Raises:
            BusyError: at once, if too many wait already.
        """
        if self._there >= self._most:
            raise BusyError("images of this address take long to decode; try again later")
        self._there += 1
        try:
            async with self._places:
                yield
        finally:
            self._there -= 1
