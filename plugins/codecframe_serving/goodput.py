"""What a link carries, told by answers: falls soon, rises carefully. No input or output."""

from __future__ import annotations

from collections import deque

_SAMPLES, _SPAN = 4, 1.0
"""Frames, and seconds, over which the link's capacity is measured at least: what was lost and sent
again comes late, and what waited behind it at the same moment."""
_LONE = 2.0
"""A gap of so many times the mean of the others is not a sample of what the link carries."""
_IN_A_ROW = 3
"""So many frames must have queued before the estimate falls: one alone may have waited for a
processor, at either end."""
_UNDER = 0.96
"""Share of a measured capacity that is used at first, so that what has queued up drains."""
_QUICKENS, _FASTEST = 0.03, 0.3
"""Growth in a second, for each second since the last fall, and at most: near what the link was
found to carry it rises carefully; a link that got better is found the sooner the longer it lasts.
"""
_BASE_SECONDS = 30.0
"""How long the shortest way through the link is remembered."""
_LEAST = 500.0
"""Bits a second that are always tried."""
_USED = 0.6
_RECENT = 2.0
"""Share of the rate that must have come through in so many seconds for it to rise: a link that is
not used proves nothing."""


class Goodput:
    """An estimate of the bits a second that a link delivers.

    Frames that follow each other closely on a busy link arrive at its capacity. Where frames take
    longer than the shortest way by more than `tolerance`, they queue: within a few frames the
    estimate falls under what was measured. Where they do not, it rises, ever faster, up to `most`.

    Args:
        most: bits a second that may be used.
        tolerance: seconds that frames may queue.
    """

    def __init__(self, most: float, tolerance: float) -> None:
        self.most = most
        self.rate = most
        self._tolerance = tolerance
        self._fell = float("-inf")
        self._samples: deque[tuple[float, float]] = deque()
        self._ways: deque[tuple[float, float]] = deque()
        self._answered: deque[tuple[float, float]] = deque()
        self._queued = 0
        self._before = most
        self._arrival: float | None = None
        self._changed: float | None = None
        self._heard: float | None = None
        self.delay = 0.0
        """Seconds that the last frame queued."""

    def window(self, seconds: float) -> float:
        """Bits that may be under way for `seconds` of queue; none beside the first frame, before
        its answer says what the link is like.
        """
        return 0.0 if self._heard is None else self.rate * seconds

    def answered(self, bits: float, sent: float, now: float, served: float) -> None:
        """A frame was answered.

        Args:
            bits: its size.
            sent: when it was sent.
            now: when the answer came.
            served: seconds that it was at the server.
        """
        arrival = max(now - max(served, 0.0), sent)
        self.delay = arrival - sent - self._shortest(arrival - sent, now)
        if self._arrival is not None and sent < self._arrival:
            self._samples.append((bits, max(arrival - self._arrival, 0.0)))
            self._forget()
        self._arrival = arrival if self._arrival is None else max(arrival, self._arrival)
        self._heard = now
        self._answered.append((now, bits))
        self._queued = self._queued + 1 if self.delay > self._tolerance else 0
        if self._queued == _IN_A_ROW:
            self._before = self.rate
        if self._queued >= _IN_A_ROW:
            self._fall(now)
        elif not self._queued:
            self._rise(now)

    def stalled(self, oldest: float, now: float, patience: float) -> bool:
        """Halve the rate where nothing was heard for too long; returns whether that was so.

        Args:
            oldest: when the oldest frame without an answer was sent.
            now: the time.
            patience: seconds that are too long.
        """
        since = max(oldest, self._heard or oldest, self._changed or oldest)
        if now - since < patience:
            return False
        self.rate = max(self.rate / 2, _LEAST)
        self._changed = now
        return True

    def _shortest(self, way: float, now: float) -> float:
        """The shortest way of late, this one among them."""
        while self._ways and self._ways[-1][1] >= way:
            self._ways.pop()
        self._ways.append((now, way))
        while now - self._ways[0][0] > _BASE_SECONDS:
            self._ways.popleft()
        return self._ways[0][1]

    def _forget(self) -> None:
        """Samples beyond those over which the capacity is measured."""
        seconds = sum(gap for _, gap in self._samples)
        while len(self._samples) > _SAMPLES and seconds - self._samples[0][1] >= _SPAN:
            seconds -= self._samples.popleft()[1]

    def _measured(self) -> float | None:
        """Bits a second of the samples. Where the queue is new, without a gap that stands alone."""
        if not self._samples:
            return None
        bits, seconds = (sum(column) for column in zip(*self._samples, strict=True))
        lone_bits, lone = max(self._samples, key=lambda sample: sample[1])
        others = len(self._samples) - 1
        is_new = self._queued < 2 * _IN_A_ROW
        if is_new and others * lone > _LONE * (seconds - lone) > 0:  # lost, and sent again
            bits, seconds = bits - lone_bits, seconds - lone
        return bits / seconds if seconds else None

    def _fall(self, now: float) -> None:
        capacity = self._measured()
        if capacity is None:
            return
        self._fell = now
        # not the least of what was measured while the queue drains: that would be far too low
        self.rate = max(min(self._before, _UNDER * capacity), _LEAST)
        self._changed = now

    def _rise(self, now: float) -> None:
        seconds = 0.0 if self._changed is None else min(now - self._changed, 1.0)
        self._changed = now
        if self._used(now) < _USED * self.rate:
            return
        growth = min(_QUICKENS * (now - self._fell), _FASTEST)
        self.rate = min(self.rate * (1 + growth) ** seconds, self.most)

    def _used(self, now: float) -> float:
        """Bits a second that were answered of late."""
        while self._answered and now - self._answered[0][0] > _RECENT:
            self._answered.popleft()
        return sum(bits for _, bits in self._answered) / _RECENT
