"""`codecframe send` as users start it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage
from servers import Server, serving
from toys import picture

Run = Callable[..., Any]
COMMAND = Path(sys.executable).with_name("codecframe")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), "--max-fps", 10_000) as server:
        yield server


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(6):
        PilImage.fromarray(picture(i, 32, 48)).save(folder / f"{i}.png")
    return folder


def test_says_what_the_server_sees(run: Run, server: Server, pictures: Path) -> None:
    done = run("send", pictures, server.url, "--codec", "jpeg:quality=60")
    assert done.code == 0, done.err
    lines = sorted(done.out.splitlines())
    assert len(lines) == 6
    assert lines[0].startswith("0.png: ") and "(jpeg level " in lines[0] and "bytes" in lines[0]
    assert done.err.strip() == "6 ok, 0 dropped, 0 failed"


def test_json_lines_within_a_budget(run: Run, server: Server, pictures: Path) -> None:
    done = run(
        "send", pictures, server.url, "-c", "jpeg", "--budget", "40kbit/s@20fps",
        "--json", "--top", "2", "--loop", "--limit", "20",
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert len({row["name"] for row in rows}) == 20
    assert {row["status"] for row in rows} == {"ok"}
    assert all(len(row["top"]) == 2 for row in rows)
    assert sum(8 * row["bytes"] for row in rows) <= 40e3 * (20 / 20 + 0.5)


def test_unreadable_images_fail_and_the_rest_is_sent(
    run: Run, server: Server, pictures: Path
) -> None:
    (pictures / "3.png").write_bytes(b"rubbish")
    done = run("send", pictures, server.url, "-c", "jpeg", "--json")
    assert done.code == 1
    rows = {row["name"]: row for row in map(json.loads, done.out.splitlines())}
    assert rows["3.png"]["status"] == "failed" and rows["3.png"]["reason"]
    assert [rows[f"{i}.png"]["status"] for i in (0, 1, 2, 4, 5)] == ["ok"] * 5


def test_a_video_is_sent_frame_by_frame(run: Run, server: Server, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(tmp_path / "clip.mkv", "w") as clip:
        stream = clip.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for shade in (30, 100, 200):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), shade, np.uint8), "rgb24")
            clip.mux(stream.encode(frame))
        clip.mux(stream.encode())
    done = run("send", "clip.mkv", server.url, "-c", "jpeg", "--json")
    assert done.code == 0, done.err
    rows = sorted(map(json.loads, done.out.splitlines()), key=lambda row: str(row["name"]))
    assert [row["name"] for row in rows] == ["clip.mkv#0", "clip.mkv#1", "clip.mkv#2"]
    assert [row["top"][0]["index"] for row in rows] == [1, 4, 8]
    (tmp_path / "broken.mkv").write_bytes(b"rubbish" * 100)
    assert run("send", "broken.mkv", server.url, "-c", "jpeg").code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-c", "jpag"], 1, "'jpeg'"),
        (["-c", "jpeg:quality=900"], 1, "quality"),
        (["-c", "jpeg", "--live"], 2, "--fps"),
        (["-c", "jpeg", "-b", "0.8bpp"], 1, "budget"),
        (["-c", "jpeg", "-b", "9kbit/s@5fps", "--fps", "3"], 2, "both"),
        (["-c", "webp"], 1, "webp"),
        ([], 2, "--codec"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    run: Run, server: Server, pictures: Path, arguments: list[str], code: int, said: str
) -> None:
    done = run("send", pictures, server.url, *arguments)
    assert done.code == code, done.err
    assert said in done.err
    assert "Traceback" not in done.err


def test_without_a_server_it_gives_up(run: Run, pictures: Path) -> None:
    done = run("send", pictures, "127.0.0.1:9", "-c", "jpeg", "--give-up", "0.1", "--json")
    assert done.code == 1
    assert "no connection" in done.err
    assert {json.loads(line)["status"] for line in done.out.splitlines()} == {"dropped"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_ended_reports_what_was_not_sent(server: Server, pictures: Path, number: int) -> None:
    process = subprocess.Popen(
        [COMMAND, "send", pictures, server.url, "-c", "jpeg", "--fps", "50", "--loop", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    assert json.loads(first)["status"] == "ok"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    rows = [json.loads(line) for line in (first + out).splitlines()]
    assert f"{sum(row['status'] == 'ok' for row in rows)} ok" in err
    assert "Traceback" not in err


def test_a_terminal_shows_how_it_goes(server: Server, pictures: Path) -> None:
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "send", pictures, server.url, "-c", "jpeg", "--fps", "20", "--loop",
         "--limit", "30", "--json"],
        stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "COLUMNS": "160"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # closed by the other end
            break
        shown += part
    assert process.wait(30) == 0
    text = shown.decode()
    assert "jpeg level" in text and " ms" in text and "30 ok, 0 dropped, 0 failed" in text


def test_a_camera_needs_no_torch(run: Run, server: Server, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')")
    done = run("send", pictures, server.url, "-c", "jpeg", PYTHONPATH=str(tmp_path))
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--give-up", "nan"], 2, "finite"),
        (["--fps", "inf"], 2, "finite"),
        (["--token-file", "not-text"], 1, "is not a token"),
        (["--tls-ca", "not-text"], 1, "not a certificate"),
        (["--tls-ca", "/dev/zero"], 1, "regular file"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    run: Run, pictures: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    if "/dev/zero" in arguments and not Path("/dev/zero").exists():
        pytest.skip("no such device")
    (tmp_path / "not-text").write_bytes(b"\xff\xfe\x00")
    done = run("send", pictures, "127.0.0.1:9", "-c", "jpeg", *arguments)
    assert done.code == code, done.err
    assert said in done.err


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[", "http://:8000"])
def test_an_address_that_is_none_is_told(run: Run, pictures: Path, url: str) -> None:
    done = run("send", pictures, url, "-c", "jpeg")
    assert done.code == 1 and "not an address" in done.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_video_is_a_regular_file(run: Run, server: Server, tmp_path: Path) -> None:
    pytest.importorskip("av")
    os.mkfifo(tmp_path / "clip.mp4")
    done = run("send", "clip.mp4", server.url, "-c", "jpeg")
    assert done.code == 1 and "regular file" in done.err
