"""The estimate on simulated links: falls soon, rises carefully, uses what there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import mean

import pytest

from codecframe_serving.goodput import Goodput

Capacity = Callable[[float], float]


@dataclass
class Link:
    """A serial link of a bit rate that changes, `way` seconds long, at a camera of `fps`.

    No more than `window` seconds of traffic are on it.
    """

    capacity: Capacity
    goodput: Goodput
    fps: float = 10.0
    way: float = 0.03
    window: float = 0.5
    rates: list[tuple[float, float]] = field(default_factory=list)
    delivered: list[tuple[float, float]] = field(default_factory=list)

    def run(self, seconds: float, served: float = 0.02) -> None:
        """Send a frame of the estimated rate at every tick that the window allows."""
        free = 0.0
        flying: list[tuple[float, float, float]] = []  # answered, bits, sent
        for tick in range(round(seconds * self.fps)):
            now = tick / self.fps
            while flying and flying[0][0] <= now:
                answered, bits, sent = flying.pop(0)
                self.goodput.answered(bits, sent, answered, served)
            if flying and self.goodput.stalled(flying[0][2], now, 1.0):
                pass
            self.rates.append((now, self.goodput.rate))
            if sum(bits for _, bits, _ in flying) > self.goodput.window(self.window):
                continue
            bits = self.goodput.rate / self.fps
            free = max(free, now) + bits / self.capacity(max(free, now))
            self.delivered.append((free, bits))
            flying.append((free + self.way + served, bits, now))

    def use(self, start: float, end: float) -> float:
        """Share of the link that was used in a span of seconds."""
        bits = sum(bits for when, bits in self.delivered if start <= when < end)
        return (
            bits
            / sum(self.capacity(start + i * (end - start) / 100) for i in range(100))
            / ((end - start) / 100)
        )

    def rate(self, at: float) -> float:
        return next(rate for when, rate in self.rates if when >= at)


@pytest.mark.parametrize("capacity", [64e3, 256e3, 2e6])
@pytest.mark.parametrize("fps", [5.0, 20.0])
def test_a_steady_link_is_used(capacity: float, fps: float) -> None:
    link = Link(lambda _: capacity, Goodput(4e6, 1 / fps + 0.1), fps)
    link.run(100)
    assert link.use(40, 100) >= 0.9
    rates = [rate for when, rate in link.rates if when >= 40]
    assert mean(rates) < 1.2 * capacity
    assert max(rates) < 1.5 * capacity


def test_falls_at_once_and_comes_back_carefully() -> None:
    link = Link(lambda now: 25.6e3 if 40 <= now < 80 else 256e3, Goodput(256e3, 0.2))
    link.run(160)
    assert link.rate(39) > 0.85 * 256e3
    assert link.rate(46) < 1.1 * 25.6e3, "falls within some frames"
    assert link.use(55, 80) >= 0.9
    assert link.rate(82) < 0.5 * 256e3, "does not jump back"
    assert link.use(120, 160) >= 0.9


def test_frames_that_waited_for_a_processor_are_not_the_links() -> None:
    goodput = Goodput(100e3, 0.2)
    for tick in range(300):
        slow = 0.4 if tick % 10 < 2 else 0.03
        goodput.answered(10e3, tick / 10, tick / 10 + slow, 0.0)
    assert goodput.rate == 100e3


def test_does_not_leave_what_it_may_use() -> None:
    goodput = Goodput(100e3, 0.2)
    link = Link(lambda _: 1e6, goodput)
    link.run(30)
    assert goodput.rate == 100e3


def test_an_unused_link_proves_nothing() -> None:
    goodput = Goodput(1e6, 0.2)
    goodput.rate = 100e3
    for tick in range(300):
        goodput.answered(100.0, tick / 10, tick / 10 + 0.05, 0.0)
    assert goodput.rate == 100e3


def test_halves_where_nothing_is_heard() -> None:
    goodput = Goodput(1e6, 0.2)
    assert not goodput.stalled(10.0, 10.9, 1.0)
    assert goodput.stalled(10.0, 11.1, 1.0)
    assert not goodput.stalled(10.0, 11.9, 1.0)
    assert goodput.stalled(10.0, 12.2, 1.0)
    assert goodput.rate == 0.25e6


def test_the_servers_time_is_not_the_links() -> None:
    goodput = Goodput(1e6, 0.2)
    for tick in range(100):
        served = 0.9 if tick % 7 == 0 else 0.01
        goodput.answered(50e3, tick / 10, tick / 10 + 0.06 + served, served)
    assert goodput.rate == 1e6
