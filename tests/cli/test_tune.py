"""`codecframe tune` through the real command."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image as PilImage
from toys import picture


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twenty pictures."""
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(20):
        PilImage.fromarray(picture(i, 32, 32)).save(folder / f"{i:02}.png")
    return folder


def arguments(folder: Path, head: str, *more: str) -> list[str]:
    return ["tune", "webp", "--images", str(folder), "--head", head, "--budget", "1.5bpp", *more]


def test_makes_a_preset_that_other_commands_take(
    run_here: Callable[..., Any], many: Path, head_module: str, tmp_path: Path
) -> None:
    done = run_here(*arguments(many, head_module, "--trials", "4", "-o", "mine.yaml"))
    assert done.code == 0, done.err
    assert "preset: mine.yaml" in done.out
    preset = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert preset["codec"] == "webp"
    assert "tune webp" in preset["made"]["command"]
    held = preset["scored"]["held-out"]
    assert held["images"] == 10
    assert held["tuned"]["loss"] <= held["default"]["loss"]
    encoded = run_here(
        "encode", many / "00.png", "--codec", "webp", "--preset", "mine.yaml", "-o", "00.webp"
    )
    assert encoded.code == 0, encoded.err
    with PilImage.open(tmp_path / "00.webp") as image:
        assert image.size == (32, 32)


def test_reports_as_json(run_here: Callable[..., Any], many: Path, head_module: str) -> None:
    done = run_here(*arguments(many, head_module, "--trials", "2", "--json"))
    assert done.code == 0, done.err
    assert {"path", "improved", "codec", "settings", "scored"} <= set(json.loads(done.out))


def test_groups_are_held_out_whole_and_leaks_are_told(
    run_here: Callable[..., Any], tmp_path: Path, head_module: str
) -> None:
    for track in range(10):
        for frame in range(3):
            image = PilImage.fromarray(picture(track, 32, 32))
            image.save(tmp_path / f"t{track}_{frame}.png")
    files = arguments(tmp_path, head_module, "--trials", "1", "--json")
    leaking = run_here(*files)
    assert leaking.code == 0, leaking.err
    assert "look like a neighbour" in leaking.err
    assert "look like a neighbour" in json.loads(leaking.out)["scored"]["warning"]
    apart = run_here(*files, "--group", "pattern:t\\d+")
    assert "warning" not in json.loads(apart.out)["scored"]
    named = run_here(*files, "--held-out", f"{tmp_path}/t[0-3]_*.png")
    scored = json.loads(named.out)["scored"]
    assert (scored["held-out"]["images"], scored["tuning"]["images"]) == (12, 18)
    assert run_here(*files, "--group", "folder", "--held-out", str(tmp_path)).code == 2
    alone = run_here(*files, "--group", "folder")
    assert alone.code == 1
    assert "one group" in alone.err


def test_for_an_encoder_whole_files_count(
    run_here: Callable[..., Any], many: Path, head_module: str, tmp_path: Path
) -> None:
    command = ["tune", "jpeg", "--images", many, "--head", head_module, "--budget", "9bpp"]
    done = run_here(*command, "--trials", "3", "--for", "pillow", "-o", "p.yaml")
    assert done.code == 0, done.err
    assert "measured for pillow" in done.out
    preset = yaml.safe_load((tmp_path / "p.yaml").read_text())
    assert preset["scored"]["accounting"] == "file"
    assert preset["scored"]["exports"]["pillow"]["bpp"] <= 9
    assert not {"huffman", "arithmetic", "deadzone"} & set(preset["settings"])
    assert "measured for pillow" in run_here("presets", "p.yaml", "--export", "pillow").out
    assert "pillow" in run_here(*command, "--for", "pilow").err


def test_what_cannot_be_tuned_is_refused(
    run_here: Callable[..., Any], many: Path, photos: Path, head_module: str
) -> None:
    few = run_here(*arguments(photos, head_module))
    assert few.code == 1
    assert "16 or more" in few.err
    unreachable = ["tune", "webp", "--images", many, "--head", head_module, "--budget", "1B"]
    assert run_here(*unreachable).code == 1
    unknown = run_here("tune", "wepb", "--images", many, "--head", head_module, "--budget", "1bpp")
    assert unknown.code in (1, 2)
    assert "webp" in unknown.err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_goes_on_after_ctrl_c(
    run: Callable[..., Any], many: Path, head_module: str, tmp_path: Path
) -> None:
    command = arguments(many, head_module, "--trials", "400", "-o", "long.yaml")
    codecframe = Path(sys.executable).with_name("codecframe")
    process = subprocess.Popen([codecframe, *command], cwd=tmp_path, stderr=subprocess.DEVNULL)
    trials = tmp_path / "long.trials"
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and (not trials.exists() or trials.stat().st_size < 30_000):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not (tmp_path / "long.yaml").exists()
    before = count(trials)
    again = run(*arguments(many, head_module, "--trials", "3", "-o", "long.yaml"))
    assert again.code == 0, again.err
    assert count(trials) >= before > 3
    assert (tmp_path / "long.yaml").exists()


def count(trials: Path) -> int:
    """Measurements that are kept."""
    with closing(sqlite3.connect(trials)) as file:
        return int(file.execute("SELECT COUNT(*) FROM measured").fetchone()[0])
