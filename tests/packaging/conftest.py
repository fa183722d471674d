"""A separate environment, as a stranger has it: codecframe's wheel, and a plugin beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STRANGER = ROOT / "examples" / "codecframe-jpegls"
WITH_TASK = ROOT / "examples" / "codecframe-ocr"


class Environment:
    """A virtual environment that borrows third-party packages from the one that runs the tests."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False)
        self._folder = folder
        self._bin = folder / ("Scripts" if sys.platform == "win32" else "bin")
        site = self.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        self.site = Path(site.stdout.strip())
        (self.site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def install(self, *what: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--python", self._bin / "python"]
        options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, "install", *options, *what], check=True)

    def run(
        self, *command: str | Path, cwd: Path | None = None, expect: int = 0
    ) -> subprocess.CompletedProcess[str]:
        program = [self._bin / command[0], *command[1:]]
        folder = cwd or self._folder  # not this source tree: `python -c` would import from it
        done = subprocess.run(program, cwd=folder, text=True, capture_output=True, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def json(self, *command: str) -> Any:
        return json.loads(self.run("codecframe", *command, "--json").stdout)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """codecframe's wheel, built from a source distribution of this tree, as a release is."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def stranger(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """An environment with codecframe and strangers' plugins, all as wheels."""
    environment = Environment(tmp_path_factory.mktemp("stranger"))
    environment.install(wheel, STRANGER, WITH_TASK)
    yield environment
