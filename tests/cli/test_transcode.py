"""`codecframe transcode` as users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage
from toys import picture

Run = Callable[..., Any]


def test_a_folder_and_what_is_said_of_it(run_here: Run, photos: Path, tmp_path: Path) -> None:
    done = run_here("transcode", photos, "small", "-c", "webp", "-b", "1bpp", "--json")
    assert done.code == 0, done.err
    assert done.json["images"] == 6 and done.json["bpp"] <= 1 and done.json["failures"] == 0
    assert (tmp_path / "small" / "class-0" / "0.webp").is_file()
    again = run_here("transcode", photos, "small", "-c", "webp", "-b", "1bpp")
    assert again.code == 0 and again.out.startswith("0 images (6 images or shards were made")
    other = run_here("transcode", photos, "small", "-c", "webp", "-b", "2bpp")
    assert other.code == 1 and "other settings" in other.err


def test_what_fails_is_told(run_here: Run, photos: Path) -> None:
    (photos / "bad.png").write_bytes(b"nothing")
    (photos / "bad.tar").write_bytes(b"nothing" * 200)
    done = run_here("transcode", photos, "small", "-c", "jpeg", "--set", "quality=30")
    assert done.code == 1
    assert "bad.png" in done.err and "bad.tar" in done.err
    assert done.out.startswith("6 images,")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["absent", "small", "-c", "jpeg"], 1, "absent"),
        (["photos", "small", "-c", "jpag"], 1, "'jpeg'"),
        (["photos", "small", "-c", "jpeg", "-b", "64kbit/s@5fps"], 1, "0.8bpp"),
        (["photos", "photos/small", "-c", "jpeg"], 1, "beside"),
        (["photos", "small", "-c", "jpeg", "--engine", "cloud"], 2, "local"),
        (["photos", "small", "-c", "jpeg", "--ray-address", "x:1"], 1, "--engine ray"),
    ],
)
def test_what_cannot_be_done_is_refused(
    run_here: Run, photos: Path, arguments: list[str], code: int, said: str
) -> None:
    done = run_here("transcode", *arguments)
    assert done.code == code, done.err
    assert said in done.err
    assert not (photos.parent / "small").exists()


def test_ctrl_c_leaves_whole_files_and_goes_on(run_here: Run, tmp_path: Path) -> None:
    for i in range(400):
        path = tmp_path / "many" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        PilImage.fromarray(picture(i, 96, 96)).save(path)
    program = Path(sys.executable).with_name("codecframe")
    arguments = ["transcode", "many", "small", "-c", "webp", "-s", "method=6", "-b", "0.7bpp"]
    with subprocess.Popen([program, *arguments], cwd=tmp_path, stderr=subprocess.PIPE) as process:
        while process.poll() is None and len(list(tmp_path.glob("small/*.webp"))) < 80:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    assert not list((tmp_path / "small").glob(".*"))
    done = run_here(*arguments, "--json")
    assert done.code == 0 and 0 < done.json["images"] < 400
    assert len(list(tmp_path.glob("small/*.webp"))) == 400
