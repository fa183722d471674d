"""A link with a rate, in user space: a TCP proxy that lets through so many bits a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_TICK = 0.01
_BUFFER = 4096


class Shaper:
    """Carries bytes to a server at `rate` bits a second, and back as they come.

    Attributes:
        rate: may be changed at any time; 0 carries nothing.
        carried: bytes to the server so far.
        port: to connect to.
    """

    def __init__(self, target: tuple[str, int], rate: float) -> None:
        self._target = target
        self.rate = rate
        self.carried = 0
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Shaper]:
        """Carry, for as long as the block lasts."""
        # a small buffer: what is not carried yet waits at the sender, as on a real link
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0, limit=_BUFFER)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, to_writer}
        self._writers |= pair
        ways = [
            asyncio.create_task(self._slowly(reader, to_writer)),
            asyncio.create_task(self._at_once(to_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)  # one end has gone
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for one in pair:
            one.transport.abort()
        self._writers -= pair

    async def _slowly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        saved, last = 0.0, loop.time()
        while True:
            await asyncio.sleep(_TICK)
            now = loop.time()
            saved = min(saved + (now - last) * self.rate / 8, max(self.rate / 8 * 0.05, 64))
            last = now
            if saved >= 1:
                data = await reader.read(min(int(saved), _BUFFER))
                if not data:
                    return
                if loop.time() - now > _TICK:  # waited for the sender: nothing is saved up
                    saved, last = float(len(data)), loop.time()
                saved -= len(data)
                self.carried += len(data)
                writer.write(data)
                await writer.drain()

    @staticmethod
    async def _at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_BUFFER):
            writer.write(data)
            await writer.drain()
