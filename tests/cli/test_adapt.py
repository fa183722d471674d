"""`codecframe adapt` through the real command."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models import torch_module
from PIL import Image as PilImage
from toys import picture

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twenty-four pictures, and the classifier `trees.pt2` beside their folder."""
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(24):
        PilImage.fromarray(picture(i, 32, 32)).save(folder / f"{i:02}.png")
    axes = ({0: torch.export.Dim("n", min=1)},)
    program = torch.export.export(torch_module(), (torch.rand(2, 3, 32, 32),), dynamic_shapes=axes)
    torch.export.save(program, tmp_path / "trees.pt2")
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_leaves_the_best_head_so_far_and_the_same_command_goes_on(
    run: Callable[..., Any], many: Path, tmp_path: Path
) -> None:
    given = ["--codec", "webp", "--images", "many", "--head", "trees.pt2", "--budget", "6bpp"]
    codecframe = Path(sys.executable).with_name("codecframe")
    command = [codecframe, "adapt", *given, "--minutes", "30"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    log = tmp_path / "trees-webp.log" / "log.jsonl"
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and not log.exists():
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    made = tmp_path / "trees-webp.pt2"
    assert made.exists()
    done = run("adapt", *given, "--minutes", "0", "--json")
    assert done.code == 0, done.err
    assert {"path", "points", "peak_memory"} <= set(done.json)
    assert done.json["path"] == made.name


def test_the_old_option_names_the_new_command(run: Callable[..., Any], many: Path) -> None:
    old = ["tune", "webp", "--images", "many", "--head", "trees.pt2", "--budget", "6bpp"]
    done = run(*old, "--retrain-head", "new.yaml")
    assert done.code == 2
    assert "codecframe adapt" in done.err
