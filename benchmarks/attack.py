"""`codecframe serve` while it is attacked in all known ways at once, beside honest streams.

    python benchmarks/attack.py [--seconds 600] [--streams 50]

Attackers and honest clients have addresses of their own on the loopback interface, which needs
Linux; nothing leaves this machine. All share its processor with the server; what attackers do
themselves, not what the server does for them, has a lower priority. Prints what became of the
honest frames, with and without the attack, and what must hold; ends with 1 if something did not.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from common import crops
from PIL import Image as PilImage
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

import codecframe
from codecframe_serving.protocol import Answer, Frame, Hello, Ready, Status, Welcome, read_text

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from files import scans, tiles

PROGRAM = Path(sys.executable).with_name("codecframe")
HEAD, SIDE = "cifar10-jpeg", 32
CODEC = codecframe.get_codec("jpeg")
SETTINGS = CODEC.settings_type(quality=50)
HONEST, WATCHMAN = "127.0.0.1", "127.0.0.9"
ATTACKER: ContextVar[str] = ContextVar("ATTACKER")
"""The address of whoever attacks; each kind of attack has one."""
MAX_MEMORY, MAX_PIXELS, MAX_MESSAGE, CLIENTS = 512, 1 << 22, 4 << 20, 256
"""What the server is told; megabytes, pixels, bytes, places."""
LIBRARIES = 400
"""Megabytes that a process takes for its libraries."""
FPS = 2.0
PATIENCE = 60.0
"""Seconds for an answer, before it counts as missing."""

Attack = Callable[[str, random.Random], Awaitable[str]]
"""One try, against a URL; says what came of it."""


# -- the server ---------------------------------------------------------------------------


@contextmanager
def serving() -> Iterator[tuple[str, int]]:
    """A server's URL and process, for a `with` block, at whose end it must still run."""
    options = ["--codec", "jpeg", "--codec", "png", "--port", 0, "--no-token", "--max-pixels",
               MAX_PIXELS, "--max-memory", MAX_MEMORY, "--max-message", MAX_MESSAGE,
               "--max-clients", CLIENTS, "--idle", 10, "--log-level", "warning"]  # fmt: skip
    process = subprocess.Popen(
        [str(PROGRAM), "serve", "--head", HEAD, *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1], process.pid
        assert process.poll() is None, "the server has ended"
    finally:
        process.terminate()
        _, said = process.communicate(timeout=120)
        assert "Traceback" not in said, said[-3000:]


def megabytes(process: int) -> float:
    """Resident memory of a process and all below it."""
    below: dict[int, list[int]] = {}
    sizes = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            text = status.read_text()
            parent = re.search(r"PPid:\s*(\d+)", text)
            size = re.search(r"VmRSS:\s*(\d+) kB", text)
            if parent and size:
                number = int(status.parent.name)
                sizes[number] = int(size[1]) / 1000
                below.setdefault(int(parent[1]), []).append(number)
    total, left = 0.0, [process]
    while left:
        number = left.pop()
        total += sizes.get(number, 0.0)
        left += below.get(number, [])
    return total


def bound() -> float:
    """Megabytes that the server may take, as SECURITY.md says."""
    decoding = codecframe.cpu_count() + 1
    each = LIBRARIES + 32 * MAX_PIXELS / 1e6 + 268
    return LIBRARIES + 1.05 * MAX_MEMORY + decoding * each + CLIENTS * MAX_MESSAGE / 1e6


# -- honest clients -----------------------------------------------------------------------


async def opened_stream(url: str, address: str) -> ClientConnection:
    """A stream from an address; its welcome is not read yet."""
    return await connect(
        url.replace("http", "ws", 1) + "/v1/stream",
        compression=None,
        open_timeout=60,
        ping_interval=None,
        local_addr=(address, 0),
        proxy=None,
    )


PAYLOADS = [
    CODEC.strip(CODEC.encode(image, SETTINGS)) for image in crops(64, SIDE, of=4 * SIDE, seed=1)
]


async def camera(url: str, number: int, until: float, told: Counter[str]) -> list[float]:
    """One honest stream; seconds to each answer."""
    loop, times = asyncio.get_running_loop(), []
    opened = await opened_stream(url, HONEST)
    async with opened:
        read_text(str(await opened.recv()), Welcome)
        await opened.send(Hello("jpeg", shape=(SIDE, SIDE)).pack())
        read_text(str(await opened.recv()), Ready)
        sequence, due = 0, loop.time() + number / 20
        while (now := loop.time()) < until:
            await asyncio.sleep(due - now)
            due = max(due + 1 / FPS, loop.time())
            begun = loop.time()
            frame = Frame(sequence, SETTINGS.level, PAYLOADS[sequence % len(PAYLOADS)])
            await opened.send(frame.pack())
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = Answer.unpack(await opened.recv(decode=False))
            except TimeoutError:
                told["missing"] += 1
                return times
            right = answer.sequence == sequence and (answer.status is Status.OK or answer.reason)
            told[answer.status.name.lower() if right else "wrong"] += 1
            times.append(loop.time() - begun)
            sequence += 1
    return times


async def watchman(url: str, process: int, until: float) -> tuple[list[float], float]:
    """Seconds to each answer of `/healthz`, and the most megabytes of the server."""
    times, most = [], 0.0
    transport = httpx.AsyncHTTPTransport(local_address=WATCHMAN)
    while asyncio.get_running_loop().time() < until:
        begun = time.monotonic()
        async with httpx.AsyncClient(transport=transport, base_url=url, timeout=60) as client:
            assert (await client.get("/healthz")).status_code == 200
        times.append(time.monotonic() - begun)
        transport = httpx.AsyncHTTPTransport(local_address=WATCHMAN)
        most = max(most, await asyncio.to_thread(megabytes, process))
        await asyncio.sleep(1)
    return times, most


async def honest(url: str, process: int, streams: int, seconds: float) -> dict[str, Any]:
    """What honest clients see."""
    until = asyncio.get_running_loop().time() + seconds
    told: Counter[str] = Counter()
    watching = asyncio.create_task(watchman(url, process, until))
    cameras = [camera(url, number, until, told) for number in range(streams)]
    times = [one for each in await asyncio.gather(*cameras) for one in each]
    health, most = await watching
    p50, p99 = 1000 * np.percentile(times, [50, 99])
    return {
        "frames": dict(told),
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
        "longest_ms": round(1000 * max(times), 1),
        "healthz_longest_ms": round(1000 * max(health), 1),
        "megabytes": round(most),
    }


# -- attacks ------------------------------------------------------------------------------


def png(image: codecframe.Image) -> bytes:
    """A PNG file."""
    file = io.BytesIO()
    PilImage.fromarray(image).save(file, "PNG")
    return file.getvalue()


SLOW = scans(100, side=2048)
"""Within all limits, and takes a decoder many seconds."""
LARGE = png(np.zeros((2048, 2048, 3), np.uint8))
SMALL = png(crops(1, SIDE, of=64, seed=1)[0])
ALIASES = "[" + ",".join(f"&a{n} [" + f"*a{n - 1}," * 9 + "]" for n in range(1, 40)) + "]"


async def posted(
    url: str, data: bytes | AsyncIterable[bytes], query: str = "", **headers: str
) -> str:
    """The status of an answer."""
    transport = httpx.AsyncHTTPTransport(local_address=ATTACKER.get())
    async with httpx.AsyncClient(transport=transport, timeout=60) as client:
        answer = await client.post(f"{url}/v1/predict?{query}", content=data, headers=headers)
        return str(answer.status_code)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """With some bytes of it changed."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 9)):
        found[chance.randrange(len(found))] = chance.randrange(256)
    return bytes(found)


async def silent(url: str, chance: random.Random) -> str:
    """A connection that says nothing, or nothing whole."""
    host, _, port = url.rpartition("//")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(ATTACKER.get(), 0))
    writer.write(chance.choice([b"", b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n", b"\xff"]))
    with suppress(TimeoutError):
        async with asyncio.timeout(15):
            await reader.read()
    writer.close()
    return "closed"


async def slow_upload(url: str, chance: random.Random) -> str:
    """A body of which a byte comes now and then."""
    del chance

    async def body() -> AsyncIterator[bytes]:
        for _ in range(60):
            yield b"x"
            await asyncio.sleep(1)

    return await posted(url, body())


async def stream_rubbish(url: str, chance: random.Random) -> str:
    """A stream with hellos and frames that are not right."""
    opened = await opened_stream(url, ATTACKER.get())
    async with opened:
        good = Hello("jpeg", shape=(SIDE, SIDE)).pack()
        for _ in range(50):
            await opened.send(
                chance.choice(
                    [
                        *(
                            good,
                            good[:-9],
                            "[" * 9000,
                            "x" * 1_000_000,
                            good.replace("32", "65535"),
                        ),
                        chance.randbytes(chance.randrange(200)),
                        Frame(1, 200, b"", (65535, 65535)).pack(),
                        Frame(2, 50, SLOW[:9000], (2048, 2048)).pack(),
                    ]
                )
            )
    return "sent"


async def idle_stream(url: str, chance: random.Random) -> str:
    """A stream that takes a place."""
    del chance
    opened = await opened_stream(url, ATTACKER.get())
    async with opened:
        await opened.recv()
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                await opened.recv()
    return "closed"


async def watching(url: str, chance: random.Random) -> str:
    """Someone who looks at the page's figures and pictures."""
    del chance
    transport = httpx.AsyncHTTPTransport(local_address=ATTACKER.get())
    async with (
        httpx.AsyncClient(transport=transport, timeout=60) as client,
        client.stream("GET", f"{url}/v1/watch") as answer,
    ):
        await asyncio.sleep(2)
        return str(answer.status_code)


ATTACKS: dict[str, tuple[int, Attack]] = {
    "images that take long": (8, lambda url, _: posted(url, SLOW)),
    "large images": (4, lambda url, _: posted(url, LARGE)),
    "damaged images": (2, lambda url, chance: posted(url, damaged(SMALL, chance))),
    "images without tiles": (2, lambda url, _: posted(url, tiles(2000, 2000, 8, 1))),
    "empty payloads": (2, lambda url, _: posted(url, b"", "codec=jpeg&height=2000&width=2000")),
    "aliases": (2, lambda url, _: posted(url, b"", f"codec=jpeg&height=9&width=9&set={ALIASES}")),
    "other sites": (2, lambda url, _: posted(url, SMALL, Host="evil.example")),
    "slow uploads": (20, slow_upload),
    "silent connections": (300, silent),
    "idle streams": (60, idle_stream),
    "rubbish on streams": (4, stream_rubbish),
    "watchers": (8, watching),
}
"""How many do so at a time, and what."""
PAUSE = 0.05
APART = ("nice", "-n", "5")
"""How attackers run: their own work would be done elsewhere."""


async def attack(url: str, seconds: float) -> dict[str, dict[str, int]]:
    """All attacks at once; what came of each."""
    until = time.monotonic() + seconds
    told: dict[str, Counter[str]] = {name: Counter() for name in ATTACKS}

    async def attacker(name: str, number: int, once: Attack) -> None:
        chance = random.Random(f"{name} {number}")  # noqa: S311  no secret
        ATTACKER.set(f"127.0.0.{60 + list(ATTACKS).index(name)}")
        while time.monotonic() < until:
            try:
                told[name][await once(url, chance)] += 1
            except (OSError, httpx.HTTPError, WebSocketException, TimeoutError) as error:
                told[name][type(error).__name__] += 1
            await asyncio.sleep(PAUSE)

    async with asyncio.TaskGroup() as group:
        for name, (count, once) in ATTACKS.items():
            for number in range(count):
                group.create_task(attacker(name, number, once))
    return {name: dict(counts) for name, counts in told.items()}


# -- all ----------------------------------------------------------------------------------


def attacked(streams: int, seconds: float) -> bool:
    """Run it; whether all held."""
    with serving() as (url, process):
        calm = asyncio.run(honest(url, process, streams, seconds / 4))
        print(json.dumps({"without the attack": calm}, indent=1), flush=True)
        command = [*APART, sys.executable, __file__, "--url", url, "--seconds", str(seconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attackers:
            found = asyncio.run(honest(url, process, streams, seconds))
            attackers_told = json.loads(attackers.communicate()[0])
    print(json.dumps({"under attack": found, "attacks": attackers_told}, indent=1))
    held = {
        "every frame answered or refused": not {"missing", "wrong"} & set(found["frames"]),
        "p99 under three times that without": found["p99_ms"] < 3 * calm["p99_ms"],
        "/healthz within 1 s": found["healthz_longest_ms"] < 1000,
        f"memory under {bound():.0f} MB": found["megabytes"] < bound(),
        "no attack is answered with 500": not any("500" in one for one in attackers_told.values()),
    }
    print(json.dumps({"held": {what: bool(one) for what, one in held.items()}}, indent=1))
    return all(held.values())


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.url:
        print(json.dumps(asyncio.run(attack(asked.url, asked.seconds))))
        return 0
    return 0 if attacked(asked.streams, asked.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
