"""What one client, and all together, may ask of a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
        message: bytes of a message or of a posted image.
        pixels: pixels of an image.
        clients: streams, watchers and requests that are served at a time.
        fps: frames or requests a second of one client: a stream, or the requests of an address.
        pending: frames of one stream that are not answered yet; more are not read.
    """

    message: int = 8 << 20
    pixels: int = 1 << 24
    clients: int = 256
    fps: float = 120.0
    pending: int = 32


class Pace:
    """A token bucket: so many events a second, with bursts of two seconds' worth.

    >>> pace = Pace(0.5)
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

    def full(self, now: float) -> bool:
        """Whether nothing was spent lately, so that a new bucket would be the same."""
        return self._last is None or self._saved + (now - self._last) * self._rate >= self._burst
