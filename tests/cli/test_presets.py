"""`codecframe presets`: lists, shows, exports; and what is exported means what the preset means."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage

import codecframe
from codecframe.core.presets import Preset
from codecframe.core.scaling import reduced
from codecframe.testing import natural_image

JPEG = codecframe.get_codec("jpeg")
LUMA = tuple(range(3, 67))
SETTINGS = {"qtables": [LUMA, LUMA[::-1]], "quality": 40, "subsampling": "4:2:2"}
TABLES = JPEG.settings_type.from_dict(SETTINGS).scaled_tables


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    scored = {"budget": "0.8bpp", "held-out": {"difference": [0.051, 0.04, 0.062]}}
    path = tmp_path / "mine.yaml"
    Preset("jpeg", SETTINGS, {"seed": 0}, scored).write(path)
    return path


def test_lists_and_shows(run_here: Callable[..., Any], preset: Path) -> None:
    assert run_here("presets").code == 0
    assert isinstance(json.loads(run_here("presets", "--json").out), list)
    shown = run_here("presets", str(preset))
    assert shown.code == 0
    assert "codec: jpeg" in shown.out
    assert "+5.1 points on held-out images at 0.8bpp (95 %: +4.0 to +6.2)" in shown.out
    assert json.loads(run_here("presets", str(preset), "--json").out)["settings"]["quality"] == 40


def test_bad_use(run_here: Callable[..., Any], preset: Path, tmp_path: Path) -> None:
    wrong = run_here("presets", str(preset), "--export", "cjpg")
    assert wrong.code in (1, 2)
    assert "did you mean 'cjpeg'" in wrong.err
    assert run_here("presets", "--export", "c").code == 2
    assert run_here("presets", str(tmp_path / "none.yaml")).code == 1
    assert "Traceback" not in run_here("presets", "jpeg:surely-none").err


def numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", re.sub(r"#.*", "", text))]


def test_export_for_cjpeg(run_here: Callable[..., Any], preset: Path, tmp_path: Path) -> None:
    text = run_here("presets", str(preset), "--export", "cjpeg").out
    assert numbers(text) == TABLES[0] + TABLES[1]
    assert "-sample 2x1" in text
    if (cjpeg := shutil.which("cjpeg")) is None:
        pytest.skip("no cjpeg")
    tables = tmp_path / "tables.txt"
    tables.write_text(text)
    PilImage.fromarray(natural_image(32, 32)).save(tmp_path / "image.ppm")
    options = ["-quality", "50", "-qtables", tables, "-sample", "2x1", tmp_path / "image.ppm"]
    data = subprocess.run([cjpeg, *options], capture_output=True, check=True).stdout
    assert quantisation(data) == TABLES


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"scale": 0.625},
        {"subsampling": "4:0:0", "restart": 3},
        {"subsampling": "4:2:0", "smoothing": 20, "progressive": True},
    ],
    ids=str,
)
def test_export_for_pillow(
    run_here: Callable[..., Any], tmp_path: Path, more: dict[str, Any]
) -> None:
    settings = JPEG.settings_type.from_dict({**SETTINGS, **more})
    preset, path = tmp_path / "mine.yaml", tmp_path / "image.jpg"
    Preset("jpeg", settings.changed()).write(preset)
    code = run_here("presets", str(preset), "--export", "pillow").out
    image = natural_image(48, 40)
    exec(code.replace('"image.jpg"', repr(str(path))), {"image": PilImage.fromarray(image)})
    small = reduced(image, settings.scale)
    assert path.read_bytes() == JPEG.encode(small, settings.replace(scale=1.0))


@pytest.mark.parametrize("name", ["c", "cjpeg", "pillow"])
def test_exports_say_that_images_are_made_smaller(
    run_here: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "mine.yaml"
    Preset("jpeg", {**SETTINGS, "scale": 0.625}).write(path)
    assert "at 0.625 of each side" in run_here("presets", str(path), "--export", name).out


def test_export_as_c(run_here: Callable[..., Any], tmp_path: Path) -> None:
    huffman = standard_huffman()
    path = tmp_path / "mine.yaml"
    Preset("jpeg", {**SETTINGS, "huffman": huffman, "deadzone": 0.2}).write(path)
    text = run_here("presets", str(path), "--export", "c").out
    arrays = dict(re.findall(r"(\w+)\[\d+\] = \{([^}]*)\}", text))
    assert numbers(arrays["quant_luma"]) == TABLES[0]
    assert numbers(arrays["bits_ac_chroma"] + arrays["huffval_ac_chroma"]) == list(huffman[3])
    assert "deadzone = 0.2f;" in text
    assert "cinfo.comp_info[0].h_samp_factor = 2, .v_samp_factor = 1" in text
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler")
    source = tmp_path / "tables.c"
    source.write_text(text)
    subprocess.run([compiler, "-fsyntax-only", source], check=True)


def test_exports_say_what_arithmetic_coding_takes(
    run_here: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    Preset("jpeg", {**SETTINGS, "arithmetic": True}).write(path)
    wanted = {
        "c": "cinfo.arith_code = TRUE",
        "cjpeg": " -arithmetic",
        "pillow": "# without arithmetic",
    }
    for name, words in wanted.items():
        assert words in run_here("presets", str(path), "--export", name).out


@pytest.mark.parametrize("name", ["cjpeg", "pillow"])
def test_exports_that_were_not_measured_say_so(
    run_here: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "mine.yaml"
    settings = {**SETTINGS, "huffman": standard_huffman(), "deadzone": 0.2}
    Preset("jpeg", settings, {}, {"budget": "0.8bpp", "accounting": "file"}).write(path)
    done = run_here("presets", str(path), "--export", name)
    for words in ("without huffman and deadzone", "not measured", "0.8bpp"):
        assert words in done.out
        assert words in done.err
    assert "optimize" in done.out


def test_exports_are_measured_where_images_are(
    run_here: Callable[..., Any], tmp_path: Path, head_module: str
) -> None:
    (tmp_path / "seen").mkdir()
    for seed in range(6):
        image = PilImage.fromarray(natural_image(32, 32, seed=seed))
        image.save(tmp_path / f"seen/{seed}.png")
    path = tmp_path / "mine.yaml"
    Preset("jpeg", {**SETTINGS, "deadzone": 0.2, "quality": 95}).write(path)
    measure = ["--images", str(tmp_path / "seen"), "--head", head_module]
    export = ["presets", str(path), "--export", "pillow"]
    assert run_here(*export, *measure).code == 2  # no budget
    done = run_here(*export, *measure, "--budget", "8bpp")
    assert done.code == 0, done.err
    sizes = []
    for image in (tmp_path / "seen").iterdir():
        made = tmp_path / "image.jpg"
        code = done.out.replace('"image.jpg"', repr(str(made)))
        exec(code, {"image": PilImage.open(image)})
        sizes.append(len(made.read_bytes()))
    bpp = 8 * sum(sizes) / len(sizes) / 32**2
    assert bpp <= 8
    assert f"# measured for pillow: {bpp:.3f} bpp in whole files" in done.out
    over = run_here(*export, *measure, "--budget", "0.1bpp")
    assert over.code == 0
    assert "OVER the budget of 0.1bpp" in over.out
    assert "OVER the budget of 0.1bpp" in over.err
    assert run_here("presets", str(path), *measure).code == 2  # measures nothing


def standard_huffman() -> list[tuple[int, ...]]:
    from codecframe_jpeg.tables import HUFFMAN

    return [tuple(HUFFMAN[number]) for number in (0, 1, 0x10, 0x11)]


def quantisation(data: bytes) -> list[list[int]]:
    with PilImage.open(io.BytesIO(data)) as image:
        return [list(table) for _, table in sorted(image.quantization.items())]
