"""A plugin of another distribution works with no edit to codecframe; a broken one is skipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from codecframe.testing import natural_image

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    PilImage.fromarray(natural_image(40, 56)).save(path)
    return path


def test_runs_from_the_wheel_alone(stranger) -> None:
    where = stranger.run("python", "-c", "import codecframe; print(codecframe.__file__)").stdout
    assert Path(where.strip()).is_relative_to(stranger.site)


def test_is_listed(stranger) -> None:
    codecs = {codec["name"]: codec for codec in stranger.json("codecs")}
    assert codecs["jpegls"]["knob"] == "near"
    assert "jpeg" in codecs
    (plugin,) = stranger.json("plugins", "jpegls")
    assert plugin["distribution"] == "codecframe-jpegls"
    assert plugin["errors"] == []


def test_encodes_and_decodes(stranger, photo: Path) -> None:
    folder = photo.parent
    stranger.run(
        "codecframe", "encode", photo, "--codec", "jpegls", "--set", "near=0", "-o", "photo.jls",
        cwd=folder,
    )  # fmt: skip
    stranger.run("codecframe", "decode", "photo.jls", "-o", "decoded.png", cwd=folder)
    decoded = np.asarray(PilImage.open(folder / "decoded.png").convert("RGB"))
    assert np.array_equal(decoded, natural_image(40, 56))


def test_meets_a_budget(stranger, photo: Path) -> None:
    found = stranger.json(
        "encode", str(photo), "--codec", "jpegls", "--budget", "600B",
        "-o", str(photo.with_suffix(".jls")),
    )  # fmt: skip
    assert 0.9 * 600 < found["images"][0]["bytes"] <= 600


@pytest.mark.parametrize("plugin", ["codecframe-jpegls", "codecframe-ocr"])
def test_passes_its_own_tests_against_the_wheel(stranger, plugin: str) -> None:
    options = ["-q", "-p", "no:cacheprovider"]
    stranger.run("python", "-m", "pytest", *options, "tests", cwd=EXAMPLES / plugin)


def test_a_task_is_found_by_its_name(stranger) -> None:
    (plugin,) = stranger.json("plugins", "ocr")
    assert plugin["tasks"] == ["text"]
    assert plugin["errors"] == []
    assert stranger.json("heads", "rapidocr")["metric"] == "character agreement"


BROKEN = {
    "broken_import": "raise RuntimeError('will not load')",
    "broken_hook": (
        "import codecframe\n"
        "@codecframe.hookimpl\n"
        "def codecframe_codecs():\n"
        "    raise ValueError('no codecs today')\n"
    ),
}


@pytest.fixture
def with_broken(stranger):
    """Two broken plugins, installed next to the working ones for one test."""
    written = []
    for name, source in BROKEN.items():
        module = stranger.site / f"{name}.py"
        module.write_text(source)
        info = stranger.site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[codecframe]\n{name} = {name}\n")
        written += [module, info / "METADATA", info / "entry_points.txt", info]
    yield stranger
    for path in written:
        path.rmdir() if path.is_dir() else path.unlink()


def test_broken_ones_are_named_and_skipped(with_broken) -> None:
    plugins = {plugin["name"]: plugin for plugin in with_broken.json("plugins")}
    assert plugins["broken_import"]["errors"] == ["RuntimeError: will not load"]
    assert plugins["broken_hook"]["errors"] == ["ValueError: no codecs today"]
    assert "jpegls" in {codec["name"] for codec in with_broken.json("codecs")}
    told = with_broken.run("codecframe", "doctor", expect=1).stdout
    assert "broken_import (broken_import 1.0): RuntimeError: will not load" in told
    assert "broken_hook (broken_hook 1.0): ValueError: no codecs today" in told
