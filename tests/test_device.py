"""What a device can do: its measured file, and choices within its limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from toys import BrightnessHead, items, toy_registry

import codecframe
from codecframe import DataError, UsageError
from codecframe.evaluation.device import row_of
from codecframe.evaluation.profile import Plan, profile_images
from codecframe.evaluation.results import write_results
from codecframe.evaluation.select.limits import Device, Limits

HEAD = BrightnessHead()


def test_every_codec_is_measured_and_one_that_fails_is_named(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    found = codecframe.bench(
        "device", output=path, codecs="png:no=such jpeg", small=16, large=32, seconds=0.1
    )
    bad, *good = found.rows
    assert bad["codec"] == "png:no=such" and "no" in bad["problem"]
    assert {(row["codec"], row["side"]) for row in good} == {("jpeg", 16), ("jpeg", 32)}
    assert all(row["encode_ms"] > 0 and row["memory_mb"] > 1 for row in good)
    device = Device(path)
    assert device.problem("jpeg") == "" and "not measured" in device.problem("webp")
    memory = device.memory_mb("jpeg")
    assert memory is not None and memory > 1


def test_a_device_needs_no_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('there is no torch here')")
    inherited = os.environ.get("PYTHONPATH", "")
    command = [sys.executable, "-m", "codecframe.cli", "bench", "device", "--json"]
    options = ["--codecs", "jpeg vae", "--small", "16", "--large", "32", "--seconds", "0.1"]
    done = subprocess.run(
        [*command, *options],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{inherited}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = json.loads(done.stdout)["rows"]
    assert {row["codec"] for row in rows} == {"jpeg", "vae"}
    assert all(row["encode_ms"] > 0 and not row["problem"] for row in rows)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    rows = [
        row_of(
            name, knob_level=level, side=side, encode_ms=slow * (1 + level) * side**2, memory_mb=80
        )
        for name, slow in (("toy", 1e-4), ("bland", 1e-6))
        for level in (0, 254)
        for side in (16, 64)
    ]
    path = tmp_path / "board.json"
    write_results(path, "device", "codecframe bench device", rows)
    return path


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[Path]:
    with toy_registry():
        plan = Plan(codecs=["toy", "bland"], levels=[20, 80, 200])
        profile_images(tmp_path / "p", items(30, labelled=True), HEAD, plan).close()
        yield tmp_path / "p"


def test_what_the_device_cannot_do_is_not_chosen(profile: Path, board: Path) -> None:
    free = codecframe.select(profile, budget="2kB", mean=True)
    assert free.winner is not None and free.winner.codec == "toy"
    found = codecframe.select(profile, budget="2kB", mean=True, device=board, max_encode_ms=1)
    assert found.winner is not None and found.winner.codec == "bland"
    (slow,) = found.others
    assert "ms to encode on board, over 1" in slow.why and not slow.fits
    assert slow.device_ms is not None and slow.device_ms > 1
    assert found.front == [found.winner, slow]  # slow, but better
    assert "device ms" in repr(found)
    tight = codecframe.select(profile, budget="2kB", device=board, max_memory="50MB")
    assert tight.winner is None and all("80 MB on board, over 50" in c.why for c in tight.others)
    quick = codecframe.select(profile, keep="5%", device=board, max_encode_ms=1)
    assert quick.winner is None or quick.winner.codec == "bland"


def test_a_report_shows_the_front_and_what_the_device_takes(profile: Path, board: Path) -> None:
    page = codecframe.report(profile, budget="2kB", mean=True, device=board, max_encode_ms=1).html
    assert "device ms" in page and "milliseconds to encode an image, on the device" in page
    assert "ms to encode on board, over 1" in page
    with pytest.raises(UsageError):
        codecframe.report(profile, device=board)


def test_times_are_interpolated_between_levels_and_sizes(profile: Path, board: Path) -> None:
    found = codecframe.select(profile, budget="2kB", mean=True, device=board)
    toy = next(one for one in found.candidates if one.codec == "toy")
    level = codecframe.get_codec("toy").settings(toy.settings).level
    assert toy.device_ms == pytest.approx(1e-4 * (1 + level) * 48 * 40, rel=0.01)


def test_without_a_device_times_are_those_of_the_profile(profile: Path) -> None:
    found = codecframe.select(profile, budget="2kB", mean=True, max_encode_ms=1e-9)
    assert found.winner is None and all("to encode, over" in one.why for one in found.others)
    with pytest.raises(UsageError):
        codecframe.select(profile, budget="2kB", max_memory=200)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"recipe": "device", "rows": [3]})])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError):
        Limits.asked(device=tmp_path / "x.json")


def test_rows_of_a_stranger_are_checked(tmp_path: Path) -> None:
    bad = {**row_of("jpeg", knob_level=1, side=16, encode_ms=1.0), "encode_ms": -1}
    write_results(tmp_path / "x.json", "device", "", [bad])
    with pytest.raises(DataError, match="encode_ms"):
        Device(tmp_path / "x.json")
