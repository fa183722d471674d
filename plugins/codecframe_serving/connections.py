"""Network connections before and between requests: silent ones do not keep others out.

A connection that asks for nothing is closed after a while, and before that as soon as its place
is wanted: a new connection always gets one while an idle one is open, so that `/healthz` answers
however many connect and say nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""In which the head of a request must have come, from connecting or from its first byte."""


class Connections:
    """All connections that are not streams.

    Args:
        most: connections at a time.
        of_one_address: connections of one network address at a time.
        seconds: in which the head of a request must have come.
    """

    def __init__(self, most: int, of_one_address: int, seconds: float = HEAD_SECONDS) -> None:
        self._most = most
        self._of_one_address = of_one_address
        self.seconds = seconds
        self._open: dict[Connection, str] = {}
        self._counts: Counter[str] = Counter()

    def protocol(self, *args: Any, **options: Any) -> Connection:
        """A connection; stands for the class in uvicorn's configuration."""
        return Connection(self, *args, **options)

    def add(self, connection: Connection, address: str) -> None:
        """Note a new connection, and close an idle one or this one if there are too many."""
        if self._counts[address] >= self._of_one_address:
            self._make_room(connection, address)
        elif len(self._open) >= self._most:
            self._make_room(connection, self._counts.most_common(1)[0][0])
        if not connection.transport.is_closing():
            self._open[connection] = address
            self._counts[address] += 1

    def forget(self, connection: Connection) -> None:
        """The connection has ended, or is a stream now."""
        address = self._open.pop(connection, None)
        if address is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]

    def _make_room(self, new: Connection, address: str) -> None:
        """Close the oldest idle connection of an address; the new one where none is idle."""
        oldest = (one for one, theirs in self._open.items() if theirs == address and one.is_idle)
        chosen = next(oldest, new)
        self.forget(chosen)
        chosen.transport.abort()


class Connection(H11Protocol):
    """A connection whose requests must come in time."""

    def __init__(self, connections: Connections, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._all = connections
        self._late: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place among the connections."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._all.add(self, self.client[0] if self.client else "")
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on, and wait no longer for a request that is there."""
        super().data_received(data)
        if self.transport.get_protocol() is not self:  # a stream, which has its own rules
            self._end_wait()
            self._all.forget(self)
        elif not self.is_idle:
            self._end_wait()
        elif self._late is None:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._end_wait()
        self._all.forget(self)
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if not self.transport.is_closing():
            self._late = self.loop.call_later(self._all.seconds, self._give_up)

    def _end_wait(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if self.is_idle:
            self.transport.abort()
