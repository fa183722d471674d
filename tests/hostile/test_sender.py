"""Servers that are not what they say: a camera bounds what they may ask for, and gives up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from toys import picture
from websockets.asyncio.server import ServerConnection, serve

import codecframe
from codecframe_serving import sender as camera
from codecframe_serving.encoder import Choice
from codecframe_serving.plan import Outcome, Plan
from codecframe_serving.protocol import Answer, Frame, Ready, Status, Welcome
from codecframe_serving.sender import Sender

JPEG = codecframe.get_codec("jpeg")
CHOICE = Choice(JPEG, JPEG.settings_type())
WELCOME = Welcome("head", ("cat", "dog"), "pixels", ("jpeg",), None, 1 << 20, 1 << 20, 100.0)
Behaviour = Callable[[ServerConnection], Awaitable[None]]


class Item:
    name = "image"

    def read(self) -> codecframe.Image:
        return picture(1, 32, 48)


async def agree(socket: ServerConnection, welcome: Welcome = WELCOME) -> None:
    await socket.send(welcome.pack())
    await socket.recv()
    await socket.send(Ready().pack())


def outcomes_with(behaviour: Behaviour, give_up: float = 0.5, **options: Any) -> list[Outcome]:
    """What becomes of three images at a server that behaves so; raises what the camera raises."""
    outcomes: list[Outcome] = []

    async def run() -> None:
        async with serve(behaviour, "127.0.0.1", 0, **options) as server:
            port = server.sockets[0].getsockname()[1]
            plan = Plan(f"http://127.0.0.1:{port}", [CHOICE], give_up=give_up)
            await asyncio.wait_for(Sender(plan, outcomes.append).run([Item()] * 3), 60)

    try:
        asyncio.run(run())
    finally:
        assert all(outcome.reason.isprintable() for outcome in outcomes)
    return outcomes


@pytest.mark.parametrize(
    "preprocess",
    [
        {"resize": [65535, 2730]},
        {"resize": [65535, 65535]},
        {"crop": [65535, 65535]},
        {"resize": -1},
        {"resize": "x"},
        {"speed": 9},
    ],
)
def test_no_server_gets_images_of_any_size(preprocess: dict[str, Any]) -> None:
    async def behaviour(socket: ServerConnection) -> None:
        await agree(socket, replace(WELCOME, preprocess=preprocess))
        await socket.wait_closed()

    with pytest.raises(codecframe.DataError, match="asks for images"):
        outcomes_with(behaviour)


def test_an_image_that_would_become_too_large_fails_alone() -> None:
    async def behaviour(socket: ServerConnection) -> None:
        await agree(socket, replace(WELCOME, preprocess={"resize": 60_000}))
        await socket.wait_closed()

    found = outcomes_with(behaviour)
    assert [outcome.status for outcome in found] == ["failed"] * 3
    assert "pixels" in found[0].reason


async def silent(socket: ServerConnection) -> None:
    await agree(socket)
    await socket.wait_closed()


async def dropping(socket: ServerConnection) -> None:
    await agree(socket)


async def never_ready(socket: ServerConnection) -> None:
    await socket.wait_closed()


async def busy(socket: ServerConnection) -> None:
    await agree(socket)
    async for message in socket:
        if isinstance(message, bytes):
            number = Frame.unpack(message).sequence
            await socket.send(Answer(number, Status.BUSY, reason="later").pack())


@pytest.mark.parametrize("behaviour", [silent, dropping, never_ready, busy])
def test_where_no_answer_comes_the_camera_gives_up(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "_AGREE_SECONDS", 0.3)
    with pytest.raises(codecframe.DataError, match=r"no (connection|answer)"):
        outcomes_with(behaviour)


def test_connections_that_come_to_nothing_are_tried_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    def noted(seconds: float) -> float:
        pauses.append(seconds)
        return 0.0

    monkeypatch.setattr(camera, "_jittered", noted)

    async def behaviour(socket: ServerConnection) -> None:
        await agree(socket)
        if len(pauses) == 8:  # then it behaves
            async for message in socket:
                if isinstance(message, bytes):
                    number = Frame.unpack(message).sequence
                    await socket.send(Answer(number, top=((1, 1.0),)).pack())

    found = outcomes_with(behaviour, give_up=60)
    assert [outcome.status for outcome in found] == ["ok"] * 3
    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


def test_a_camera_goes_to_no_other_server() -> None:
    asked: list[str] = []

    async def other(socket: ServerConnection) -> None:
        asked.append("other")

    async def run() -> None:
        async with serve(other, "127.0.0.1", 0) as elsewhere:
            there = elsewhere.sockets[0].getsockname()[1]

            def moved(connection: ServerConnection, request: Any) -> Any:
                response = connection.respond(302, "")
                response.headers["Location"] = f"ws://127.0.0.1:{there}/v1/stream"
                return response

            async with serve(silent, "127.0.0.1", 0, process_request=moved) as server:
                port = server.sockets[0].getsockname()[1]
                plan = Plan(f"http://127.0.0.1:{port}", [CHOICE], token="secret", give_up=5)
                await Sender(plan, lambda outcome: None).run([Item()])

    with pytest.raises(codecframe.DataError, match="302"):
        asyncio.run(run())
    assert asked == []


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0" * 6,
        Answer(5).pack(),
        Ready().pack(),
        "{}",
        "[" * 9999,
        json.dumps({**asdict(WELCOME), "type": "welcome", "version": 1}),
    ],
    ids=["empty", "cut", "not sent", "ready again", "no type", "deep", "welcome again"],
)
def test_answers_that_make_no_sense_end_sending(message: str | bytes) -> None:
    async def behaviour(socket: ServerConnection) -> None:
        await agree(socket)
        await socket.send(message)
        await socket.wait_closed()

    with pytest.raises(codecframe.DataError):
        outcomes_with(behaviour, give_up=30)


def test_what_a_server_says_cannot_move_the_cursor() -> None:
    async def behaviour(socket: ServerConnection) -> None:
        await agree(socket, replace(WELCOME, labels=("\x1b[2Jcat", "dog\n\x9b0m")))
        async for message in socket:
            if isinstance(message, bytes):
                number = Frame.unpack(message).sequence
                bad = Answer(number, Status.BAD, reason="\x1b]0;title\x07")
                await socket.send((bad if number == 1 else Answer(number, top=((0, 1.0),))).pack())

    found = outcomes_with(behaviour, give_up=30)
    assert sorted(outcome.status for outcome in found) == ["failed", "ok", "ok"]
    assert all(label.isprintable() for outcome in found for _, label, _ in outcome.top)


@pytest.mark.parametrize("url", ["http://x:99999", "http://x:0", "http://[", "x:y", "http://x:-1"])
def test_addresses_that_are_none_are_told(url: str) -> None:
    with pytest.raises(codecframe.DataError, match="not an address"):
        _ = Plan(url, [CHOICE]).address
