"""`codecframe serve` under load, killed in the middle, and fed with rubbish.

    python benchmarks/server.py [--seconds 60] [--streams 200] [--messages 100000]

Server and clients are processes of one machine and share its cores. Writes `server.json`. Needs
Linux, for the server's memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import crops
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import codecframe
from codecframe.core.image import Image
from codecframe.evaluation.results import write_results
from codecframe.images import ImageItem
from codecframe_serving.encoder import Choice
from codecframe_serving.plan import Outcome, Plan
from codecframe_serving.protocol import Answer, Frame, Hello, Ready, Status, Welcome, read_text
from codecframe_serving.sender import Sender
from codecframe_serving.worker import Job, Worker

PROGRAM = Path(sys.executable).with_name("codecframe")
TOKEN = secrets.token_urlsafe()
HEADS = {"efficientnet-lite0": 224, "cifar10-jpeg": 32}
"""Heads that are asked, and the side of their images."""
BATCH = 32
SMALL = "cifar10-jpeg"
CAMERA_IMAGES = 30
FPS = 2.0
"""What cameras send while their server is killed."""
AT_ONCE = 50
"""Connections that strangers, or senders of rubbish, have at a time."""
FROM_EACH = 200
"""Rubbish that one connection sends, at most."""
CODEC = codecframe.get_codec("jpeg")
SETTINGS = CODEC.settings_type(quality=50)


# -- the server ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def stream_url(self) -> str:
        """Address of its streams."""
        return self.url.replace("http", "ws", 1) + "/v1/stream"

    @property
    def megabytes(self) -> float:
        """Its resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s*(\d+) kB", status)
        return int(found[1]) / 1000 if found else float("nan")

    def end(self) -> None:
        """Let it come to its end."""
        self.process.terminate()
        self.process.wait(60)


def start(head: str, port: int = 0) -> Server:
    """A server with the token, once it takes connections; port 0 chooses a free one."""
    options = ["--codec", "jpeg", "--port", port, "--batch", BATCH, "--max-fps", 1e6,
               "--max-message", 100_000, "--max-pixels", 1 << 20,
               "--max-per-address", 256]  # fmt: skip
    process = subprocess.Popen(
        [str(PROGRAM), "serve", "--head", head, *map(str, options)],
        env={**os.environ, "CODECFRAME_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return Server(process, process.stdout.readline().split()[-1])


@contextmanager
def serving(head: str) -> Iterator[Server]:
    """A server for a `with` block, at whose end it must still run."""
    server = start(head)
    try:
        yield server
        assert server.process.poll() is None, "the server has ended"
    finally:
        server.end()


@asynccontextmanager
async def stream(server: Server, shape: tuple[int, int]) -> AsyncIterator[ClientConnection]:
    """A stream on which frames of a shape may be sent."""
    async with connect(
        server.stream_url,
        additional_headers={"Authorization": f"Bearer {TOKEN}"},
        compression=None,
        open_timeout=120,
        ping_interval=None,
    ) as opened:
        read_text(str(await opened.recv()), Welcome)
        await opened.send(Hello("jpeg", shape=shape).pack())
        read_text(str(await opened.recv()), Ready)
        yield opened


def pictures(side: int, count: int) -> list[Image]:
    """Images of a head."""
    return crops(count, side, of=4 * side, seed=side)


def payload(image: Image) -> bytes:
    """What is sent of an image."""
    return CODEC.strip(CODEC.encode(image, SETTINGS))


def row(what: str, figure: float, must: str, met: bool, note: str) -> dict[str, Any]:
    """A row of the table."""
    return {"what": what, "figure": round(figure, 3), "must": must, "met": met, "note": note}


# -- load ---------------------------------------------------------------------------------


def in_process(head: str, payloads: Sequence[bytes], side: int, seconds: float) -> float:
    """Images a second of the same decoding and prediction without a server."""
    worker = Worker(codecframe.get_head(head), [CODEC])
    jobs = [Job(one, CODEC, SETTINGS, (side, side)) for one in payloads[:BATCH]]
    worker.run(jobs)
    begun, done = time.perf_counter(), 0
    while (taken := time.perf_counter() - begun) < seconds:
        done += len(worker.run(jobs))
    return done / taken


async def ask(server: Server, payloads: Sequence[bytes], side: int, until: float) -> list[float]:
    """Seconds to each answer of one stream, which sends a frame when the last is answered."""
    loop, times = asyncio.get_running_loop(), []
    async with stream(server, (side, side)) as opened:
        for number in range(sys.maxsize):
            begun = loop.time()
            if begun >= until:
                break
            await opened.send(
                Frame(number, SETTINGS.level, payloads[number % len(payloads)]).pack()
            )
            answer = Answer.unpack(await opened.recv(decode=False))
            assert answer.status is Status.OK, answer
            times.append(loop.time() - begun)
    return times


def under_load(head: str, streams: int, seconds: float) -> dict[str, Any]:
    """Many streams at a time."""
    side = HEADS[head]
    payloads = [payload(image) for image in pictures(side, 64)]
    alone = in_process(head, payloads, side, seconds / 4)

    async def everyone(server: Server) -> list[list[float]]:
        until = asyncio.get_running_loop().time() + seconds
        return await asyncio.gather(*(ask(server, payloads, side, until) for _ in range(streams)))

    with serving(head) as server:
        begun = time.perf_counter()
        times = [one for each in asyncio.run(everyone(server)) for one in each]
        rate = len(times) / (time.perf_counter() - begun)
    p50, p99 = 1000 * np.percentile(times, [50, 99])
    note = (
        f"{rate:.0f} of {alone:.0f} images/s; {len(times):,} answers, "
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    )
    what = f"{streams} streams for {seconds:g} s, {head}: throughput, of the in-process pipeline's"
    return row(what, rate / alone, ">= 0.7", rate >= 0.7 * alone, note)


# -- killed -------------------------------------------------------------------------------


def killed(cameras: int) -> dict[str, Any]:
    """Cameras whose server is killed while they send, and started again."""
    images = pictures(HEADS[SMALL], CAMERA_IMAGES)
    heard: list[list[Outcome]] = [[] for _ in range(cameras)]
    connections = asyncio.run(_through_a_crash(images, heard))
    whole = sum(
        len(outcomes) == len(images) and all(one.status == "ok" for one in outcomes)
        for outcomes in heard
    )
    answers = sum(len(outcomes) for outcomes in heard)
    what = (
        f"kill -9 and restart: of {cameras} cameras, those with an answer to each of their images"
    )
    note = f"{answers:,} answers over {connections} connections"
    return row(what, whole, f">= {cameras}", whole == cameras, note)


async def _through_a_crash(images: Sequence[Image], heard: Sequence[list[Outcome]]) -> int:
    """Send all images from each camera; returns how often they connected."""
    server = await asyncio.to_thread(start, SMALL)

    async def camera(outcomes: list[Outcome]) -> int:
        plan = Plan(server.url, [Choice(CODEC, SETTINGS)], fps=FPS, token=TOKEN, give_up=120.0)
        sender = Sender(plan, outcomes.append)
        await sender.run(
            [ImageItem(str(n), None, lambda image=image: image) for n, image in enumerate(images)]
        )
        return sender.state.connections

    async def crash() -> Server:
        await asyncio.sleep(len(images) / FPS / 3)
        server.process.kill()
        server.process.wait()
        return await asyncio.to_thread(start, SMALL, server.port)

    second, *connections = await asyncio.gather(crash(), *map(camera, heard))
    second.end()
    return sum(connections)


# -- rubbish ------------------------------------------------------------------------------


def rubbish(chance: random.Random, samples: Sequence[str | bytes]) -> str | bytes:
    """One of the samples with up to three pieces cut out, put in or changed."""
    sample = chance.choice(samples)
    data = bytearray(sample.encode() if isinstance(sample, str) else sample)
    for _ in range(chance.randint(1, 3)):
        at, size = chance.randrange(len(data) + 1), chance.choice((1, 1, 4, 50))
        put = chance.choice((b"", b"\xff", b"}", b"9" * 400, chance.randbytes(size)))
        data[at : at + chance.choice((0, size))] = put
    return data.decode("utf-8", "replace") if isinstance(sample, str) else bytes(data)


async def send_rubbish(server: Server, messages: int) -> list[float]:
    """Send messages with something wrong; the server's memory after each of the connections."""
    side = HEADS[SMALL]
    samples = [Hello("jpeg", {"quality": 50}, shape=(side, side)).pack()]
    samples += [Frame(n, 50, payload(image)).pack() for n, image in enumerate(pictures(side, 8))]
    left, memory = iter(range(messages)), []

    async def sender(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311  no secret
        while next(left, None) is not None:
            with suppress(ConnectionClosed, OSError):
                async with stream(server, (side, side)) as opened:
                    reading = asyncio.create_task(_read(opened))
                    for _, _ in zip(range(FROM_EACH), left, strict=False):
                        await opened.send(rubbish(chance, samples))
                    await asyncio.sleep(0.2)
                    reading.cancel()
            memory.append(server.megabytes)

    await asyncio.gather(*map(sender, range(AT_ONCE)))
    return memory


async def _read(opened: ClientConnection) -> None:
    """Whatever is answered."""
    with suppress(ConnectionClosed):
        async for _ in opened:
            pass


def with_rubbish(messages: int) -> Iterator[dict[str, Any]]:
    """A server that gets messages with something wrong, then still answers."""
    side = HEADS[SMALL]
    image = pictures(side, 1)[0]

    async def sane(server: Server) -> bool:
        async with stream(server, (side, side)) as opened:
            await opened.send(Frame(7, SETTINGS.level, payload(image)).pack())
            answer = Answer.unpack(await opened.recv(decode=False))
            return answer.status is Status.OK

    with serving(SMALL) as server:
        memory = asyncio.run(send_rubbish(server, messages))
        alive = asyncio.run(sane(server))
        turned_away = asyncio.run(strangers(server, messages // 10))
    what = f"{messages:,} messages with something wrong: crashes"
    yield row(what, 1 - alive, "0", alive, f"over {len(memory)} connections, {AT_ONCE} at a time")
    fifth = len(memory) // 5
    early, late = (float(np.median(part)) for part in (memory[fifth : 2 * fifth], memory[-fifth:]))
    what = "resident memory in the last fifth of these, of that in the second"
    note = f"{early:.0f} to {late:.0f} MB; {min(memory):.0f} to {max(memory):.0f} MB in all"
    yield row(what, late / early, "<= 1.1", late <= 1.1 * early, note)
    count = messages // 10
    what = f"{count:,} clients without the token: those who got an answer"
    yield row(what, count - turned_away, "0", turned_away == count, "all others: 401")


async def strangers(server: Server, count: int) -> int:
    """Clients without the token, or with a wrong one; how many were turned away."""
    left, away = iter(range(count)), 0

    async def stranger() -> None:
        nonlocal away
        for number in left:
            headers = {"Authorization": f"Bearer {number}"} if number % 2 else {}
            try:
                async with connect(server.stream_url, additional_headers=headers, open_timeout=60):
                    pass
            except InvalidStatus as error:
                away += error.response.status_code == 401

    await asyncio.gather(*(stranger() for _ in range(AT_ONCE)))
    return away


def main() -> None:
    """Measure all and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--output", type=Path, default=Path("recipes/results"))
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []

    def add(found: dict[str, Any]) -> None:
        rows.append(found)
        print(json.dumps(found), flush=True)

    for head in HEADS:
        add(under_load(head, given.streams, given.seconds))
    add(killed(given.streams))
    for found in with_rubbish(given.messages):
        add(found)
    notes = (
        "Server and clients share the machine's cores. Streams send a frame when the last one is "
        "answered; the in-process pipeline decodes and predicts the same payloads, "
        f"{BATCH} at a time. Cameras: `codecframe send`'s sender, {FPS:g} images/s each."
    )
    given.output.mkdir(parents=True, exist_ok=True)
    command = "python benchmarks/server.py"
    write_results(given.output / "server.json", "server", command, rows, notes)


if __name__ == "__main__":
    main()
