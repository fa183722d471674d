"""What one client, and all together, may ask of a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
        message: bytes of a message or of a posted image.
        pixels: pixels of an image.
        clients: streams and requests that are served at a time.
        fps: frames or requests a second of one client: a stream, or the requests of an address.
        pending: frames of one stream that are not answered yet; more are not read.
        upload: seconds in which a posted image must have come.
        per_address: streams and requests of one network address that are served at a time; None
            for half of `clients`, or 16 where that is less.
        idle: seconds without a message after which a stream is closed.
        memory: bytes of all images under way, half of them as they came, half of them decoded.
    """

    message: int = 8 << 20
    pixels: int = 1 << 24
    clients: int = 256
    fps: float = 120.0
    pending: int = 32
    upload: float = 30.0
    per_address: int | None = None
    idle: float = 60.0
    memory: int = 1 << 30

    @property
    def of_one_address(self) -> int:
        """Streams and requests of one network address that are served at a time."""
        return min(self.per_address or max(self.clients // 2, 16), self.clients)


class RateLimiter:
    """A token bucket: so many events a second, with bursts of two seconds' worth.

    >>> pace = RateLimiter(0.5)
    >>> pace.allows(0.0), pace.allows(1.0), pace.allows(2.0)
    (True, False, True)
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._burst = max(2 * rate, 1.0)
        self._saved = self._burst
        self._last: float | None = None

    def allows(self, now: float) -> bool:
        """Whether an event may happen now, in seconds of any clock; counts it if so."""
        if self._last is not None:
            self._saved = min(self._saved + (now - self._last) * self._rate, self._burst)
        self._last = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


class RateLimiters:
    """A pace for each of many clients.

    Args:
        rate: events a second of one client.
        kept: clients that are remembered; who was not seen for longest is forgotten first.
    """

    def __init__(self, rate: float, kept: int = 4096) -> None:
        self._rate = rate
        self._kept = kept
        self._paces: dict[str, RateLimiter] = {}

    def allows(self, client: str, now: float) -> bool:
        """Whether an event of the client may happen now; counts it if so."""
        pace = self._paces.pop(client, None) or RateLimiter(self._rate)
        if len(self._paces) >= self._kept:
            del self._paces[next(iter(self._paces))]
        self._paces[client] = pace  # the last to be forgotten
        return pace.allows(now)
