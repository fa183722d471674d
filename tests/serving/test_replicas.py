"""A server whose head runs on a Ray cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from servers import Server, serving
from toys import picture

import codecframe

pytest.importorskip("ray.serve")
CODEC = codecframe.get_codec("jpeg")
SETTINGS = CODEC.settings_type(quality=60)
PARAMETERS = {"codec": "jpeg", "set": "quality=60", "height": 32, "width": 48}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("replicas")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        with serving(folder, "--engine", "ray", "--replicas", 2, "--max-fps", 10_000) as server:
            yield server
            assert server.end() == 0


def replicas(server: Server) -> list[int]:
    """Processes of Ray Serve's replicas below the server."""
    parents, names = {}, {}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                stat = (process / "stat").read_text().rsplit(")", 1)[1].split()
                names[int(process.name)] = (process / "cmdline").read_bytes()
                parents[int(process.name)] = int(stat[1])
            except OSError:
                continue
    found = [pid for pid, name in names.items() if name.startswith(b"ray::ServeReplica")]
    return [pid for pid in found if _below(pid, server.process.pid, parents)]


def _below(pid: int, above: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == above:
            return True
    return False


def payload(image: codecframe.Image) -> bytes:
    return CODEC.strip(CODEC.encode(image, SETTINGS))


def shade(image: codecframe.Image) -> int:
    """What the head says, in this process."""
    seen = CODEC.decode(CODEC.encode(image, SETTINGS))
    return int(np.argmin((seen.mean() - np.arange(10) * 25.6) ** 2))


def test_it_answers_what_this_process_would(server: Server) -> None:
    images = [picture(seed, 32, 48) for seed in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda image: server.post(payload(image), **PARAMETERS), images))
    assert [a.json()["top"][0]["index"] for a in answers] == [shade(image) for image in images]
    assert server.post(b"no image").status_code == 400


def test_a_lost_replica_loses_no_image(server: Server) -> None:
    running = replicas(server)
    assert len(running) == 2
    images = [picture(seed, 32, 48) for seed in range(60)]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda image: server.post(payload(image), **PARAMETERS), images)
        found = [next(answers)]
        os.kill(running[0], signal.SIGKILL)
        found += answers
    assert [a.json()["top"][0]["index"] for a in found] == [shade(image) for image in images]
