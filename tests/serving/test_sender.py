"""The camera's end against a real server: every image gets its prediction, or a reason."""

from __future__ import annotations

import asyncio
import signal
import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from servers import Server, serving
from shaper import Shaper
from toys import picture

import codecframe
from codecframe.rate import Budget
from codecframe_serving.encoder import Choice
from codecframe_serving.plan import Outcome, Plan
from codecframe_serving.sender import Sender

JPEG = codecframe.get_codec("jpeg")
PLAIN = Choice(JPEG, JPEG.settings_type(quality=60))
WEBP = codecframe.get_codec("webp")
REFUSED = Choice(WEBP, WEBP.settings_type())
"""The server has no such codec."""


@dataclass(frozen=True)
class Item:
    """A picture by its number; some cannot be read."""

    number: int
    broken: bool = False
    seen: Callable[[str], None] = lambda name: None
    """Told the name when the picture is read."""

    @property
    def name(self) -> str:
        return str(self.number)

    def read(self) -> codecframe.Image:
        if self.broken:
            raise codecframe.DataError(self.name, "is broken")
        self.seen(self.name)
        return picture(self.number % 16, 32, 48)


def items(count: int) -> list[Item]:
    return [Item(number) for number in range(count)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), "--max-fps", 10_000, token="right") as server:
        yield server


def plan(url: str, **options: Any) -> Plan:
    return Plan(url, **{"choices": [PLAIN], "token": "right", "give_up": 60.0, **options})


def sent(plan: Plan, images: Sequence[Item]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    asyncio.run(Sender(plan, outcomes.append).run(images))
    assert Counter(o.name for o in outcomes) == Counter(item.name for item in images)
    return outcomes


def expected(number: int) -> int:
    data = JPEG.encode(picture(number % 16, 32, 48), PLAIN.settings)
    return int(np.abs(JPEG.decode(data).mean() - np.arange(10) * 25.6).argmin())


def address(server: Server) -> tuple[str, int]:
    parts = urlsplit(server.url)
    return str(parts.hostname), int(parts.port or 0)


def test_every_image_gets_its_prediction(server: Server) -> None:
    outcomes = sent(plan(server.url, top=3), items(60))
    for outcome in outcomes:
        assert outcome.status == "ok"
        assert outcome.top[0][0] == expected(int(outcome.name))
        assert len(outcome.top) == 3
        assert outcome.codec == "jpeg" and outcome.bytes > 5 and outcome.seconds > 0


def test_a_budget_is_kept(server: Server) -> None:
    budget = Budget.parse("100kbit/s@25fps")
    start = time.monotonic()
    outcomes = sent(plan(server.url, budget=budget, fps=25), items(40))
    taken = time.monotonic() - start  # on a busy machine it takes longer, and more may be sent
    assert {outcome.status for outcome in outcomes} == {"ok"}
    # half a second of traffic may be saved up
    assert sum(8 * outcome.bytes for outcome in outcomes) <= 100e3 * (taken + 0.5)
    assert len({outcome.level for outcome in outcomes}) > 1


def test_what_cannot_be_read_is_reported_and_the_rest_is_sent(server: Server) -> None:
    images = [Item(n, broken=n in (0, 5)) for n in range(9)]
    outcomes = {outcome.name: outcome for outcome in sent(plan(server.url), images)}
    assert [n for n, o in sorted(outcomes.items()) if o.status == "failed"] == ["0", "5"]
    assert "is broken" in outcomes["5"].reason
    assert sum(o.status == "ok" for o in outcomes.values()) == 7


def test_a_source_that_breaks_is_told_when_the_rest_is_sent(server: Server) -> None:
    def source() -> Iterator[Item]:
        yield from items(5)
        raise codecframe.DataError("camera", "was unplugged")

    outcomes: list[Outcome] = []
    with pytest.raises(codecframe.DataError, match="unplugged"):
        asyncio.run(Sender(plan(server.url), outcomes.append).run(source()))
    assert sorted(o.name for o in outcomes) == list("01234")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token": "wrong"}, "401"),
        ({"token": None}, "401"),
        ({"url": "http://"}, "not an address"),
        ({"url": "ftp://there"}, "not an address"),
        ({"choices": [REFUSED]}, "webp"),
    ],
)
def test_a_server_that_will_not_have_it_ends_sending(
    server: Server, change: dict[str, Any], message: str
) -> None:
    outcomes: list[Outcome] = []

    async def run() -> None:
        made = plan(**{"url": server.url, **change})
        await Sender(made, outcomes.append).run(items(3))

    with pytest.raises(codecframe.CodecframeError, match=message):
        asyncio.run(run())
    assert {outcome.status for outcome in outcomes} <= {"dropped"}


def test_without_a_server_sending_gives_up_and_drops_what_it_took() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        outcomes: list[Outcome] = []
        remarks: list[str] = []
        sender = Sender(plan(url, give_up=2.0), outcomes.append, remarks.append)
        with pytest.raises(codecframe.DataError, match="no connection"):
            asyncio.run(sender.run(items(3)))
    assert [o.status for o in outcomes] == ["dropped"] * 3
    assert "trying again" in remarks[0]


def test_a_server_that_is_killed_and_comes_back_gets_all(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []

    async def run() -> None:
        with serving(tmp_path, token="right") as server:
            port = address(server)[1]
            sender = Sender(plan(server.url, fps=40), outcomes.append)
            task = asyncio.create_task(sender.run(items(80)))
            while sender.state.ok < 10:
                await asyncio.sleep(0.01)
            server.process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(server.process.wait)
        with serving(tmp_path, "--port", port, token="right"):
            await task
            assert sender.state.connections == 2

    asyncio.run(run())
    assert Counter(o.name for o in outcomes) == Counter(i.name for i in items(80))
    assert {o.status for o in outcomes} == {"ok"}


def test_a_connection_that_is_cut_costs_no_image(server: Server) -> None:
    outcomes: list[Outcome] = []

    async def run() -> None:
        async with Shaper(address(server), 200e3).open() as link:
            url = f"http://127.0.0.1:{link.port}"
            sender = Sender(plan(url, fps=50), outcomes.append)
            task = asyncio.create_task(sender.run(items(100)))
            for count in (15, 40, 70):
                while sender.state.ok < count:
                    await asyncio.sleep(0.01)
                link.cut()
            await task
            assert sender.state.connections == 4

    asyncio.run(run())
    assert Counter(o.name for o in outcomes) == Counter(i.name for i in items(100))
    assert {o.status for o in outcomes} == {"ok"}
    assert all(o.top[0][0] == expected(int(o.name)) for o in outcomes)


def test_a_live_camera_follows_its_link(server: Server) -> None:
    """The link gets ten times as narrow: sizes follow, what comes late does not stay late.

    How late is counted in bytes that the link carried between reading an image and its answer.
    """
    outcomes: list[Outcome] = []
    read_at: dict[str, int] = {}
    carried: dict[str, int] = {}

    async def run() -> None:
        async with Shaper(address(server), 400e3).open() as link:

            def report(outcome: Outcome) -> None:
                outcomes.append(outcome)
                if outcome.status == "ok":
                    carried[outcome.name] = link.carried - read_at[outcome.name]

            def seen(name: str) -> None:
                read_at[name] = link.carried

            url = f"http://127.0.0.1:{link.port}"
            budget = Budget.parse("400kbit/s@20fps")
            sender = Sender(plan(url, fps=20, live=True, budget=budget), report)
            images = [Item(number, seen=seen) for number in range(200)]
            task = asyncio.create_task(sender.run(images))
            while len(outcomes) < 60:
                await asyncio.sleep(0.01)
            link.rate = 40e3
            await task

    asyncio.run(run())
    assert Counter(o.name for o in outcomes) == Counter(i.name for i in items(200))
    first = [o for o in outcomes[:60] if o.status == "ok"]
    late = [o for o in outcomes[-60:] if o.status == "ok"]
    assert statistics.mean(o.bytes for o in late) < 0.5 * max(o.bytes for o in first)
    assert statistics.median(carried[o.name] for o in late) < 40e3 / 8  # what it carries in 1 s
    assert {o.status for o in outcomes} <= {"ok", "dropped"}
    assert all(o.reason for o in outcomes if o.status == "dropped")


def test_stopping_reports_what_was_taken(server: Server) -> None:
    outcomes: list[Outcome] = []

    async def run() -> None:
        sender = Sender(plan(server.url, fps=50), outcomes.append)
        task = asyncio.create_task(sender.run(items(1000)))
        while sender.state.ok < 5:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    names = [o.name for o in outcomes]
    assert sorted(map(int, names)) == list(range(len(names)))
    assert len(names) < 1000
