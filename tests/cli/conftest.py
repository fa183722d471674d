from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import warm
from PIL import Image as PilImage
from toys import picture

from codecframe.cli import main


@dataclass(frozen=True)
class Result:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of six small pictures in two class folders."""
    folder = tmp_path / "photos"
    for i in range(6):
        path = folder / f"class-{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PilImage.fromarray(picture(i, 64, 56)).save(path)
    return folder


@pytest.fixture
def head_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An importable module with a brightness classifier; returns its head spec."""
    (tmp_path / "shades.py").write_text(
        "import numpy as np\n"
        "def classify(images):\n"
        "    means = np.array([[image.mean()] for image in images], dtype=np.float32)\n"
        "    return -((means - np.arange(10) * 25.6) / 8) ** 2\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return "shades:classify"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Run the real `codecframe` command in a folder of its own."""

    def call(*arguments: object, stdin: bytes | None = None, **environment: str) -> Result:
        done = warm.run(
            warm.CODECFRAME,
            *arguments,
            cwd=tmp_path,
            stdin=stdin or b"",
            environment={"NO_COLOR": "1", **environment},
            anew=bool(environment),
        )
        err = done.stderr.decode()
        assert "Traceback" not in err, err
        return Result(done.returncode, done.stdout.decode("utf-8", "replace"), err)

    return call


@pytest.fixture
def run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """As `run`, in this process, which has imported all that it takes: several times as fast."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # some commands set these, for good
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        code = main.run([str(argument) for argument in arguments])
        return Result(code, *capfd.readouterr())

    return call
