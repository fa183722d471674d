"""`codecframe bench`: the benchmarks of the installed plugins, and of a stranger's."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Result

Run = Callable[..., Result]
MODEL = Path(__file__).parents[1] / "fixtures" / "vae" / "tiny.safetensors"
TOY = """
from dataclasses import dataclass

import codecframe


@dataclass(frozen=True, kw_only=True)
class ToySettings(codecframe.Settings):
    up_to: int = codecframe.option(2, low=1, high=9, help="counts so far")


class Toy(codecframe.Benchmark[ToySettings]):
    name = "toy"
    summary = "numbers and their squares"
    settings_type = ToySettings

    def run(self, settings, progress):
        with progress(settings.up_to) as display:
            display.advance(settings.up_to, "counted")
        rows = [{"number": n, "square_root": n**0.5} for n in range(1, settings.up_to + 1)]
        return codecframe.BenchmarkTable(rows, "counted by hand")


@codecframe.hookimpl
def codecframe_benchmarks():
    return [Toy()]
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's plugin with the benchmark `toy`, as pip would install it."""
    site = tmp_path / "site"
    info = site / "toy_bench-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "toy_bench.py").write_text(TOY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-bench\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[codecframe]\ntoy_bench = toy_bench\n")
    monkeypatch.setenv("PYTHONPATH", str(site))


def test_benchmarks_are_listed(run: Run) -> None:
    assert "encoders" in run("bench").out
    assert "encoders" in {found["name"] for found in run("bench", "--json").json}
    assert "--repeat" in run("bench", "encoders", "--help").out


@pytest.mark.usefixtures("toy")
def test_a_strangers_benchmark_runs(run: Run, tmp_path: Path) -> None:
    assert "numbers and their squares" in run("bench").out
    assert "toy" in run("plugins", "toy_bench", "--json").json[0]["benchmarks"]
    shown = run("bench", "toy").out
    assert "square root" in shown and "1.41" in shown and "counted by hand" in shown
    found = run("bench", "toy", "--up-to", 3, "--json", "-o", "out/toy.json")
    assert found.json["rows"][2] == {"number": 3, "square_root": 3**0.5}
    written = json.loads((tmp_path / "out" / "toy.json").read_text())
    assert written["rows"] == found.json["rows"]
    assert written["recipe"] == "toy" and written["notes"] == "counted by hand"
    assert written["command"] == "codecframe bench toy --up-to 3 -o out/toy.json"
    assert platform.python_version() in written["machine"] and written["date"]


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["tory"], 2, "toy"),
        (["encodrs"], 2, "encoders"),
        (["toy", "--up-too", "1"], 2, "--up-to"),
        (["toy", "--up-to", "10"], 1, "from 1 to 9"),
        (["toy", "--up-to", "many"], 1, "from 1 to 9"),
        (["toy", "-o", "/dev/full/x"], 1, "cannot write"),
        (["encoders", "--model", "absent.safetensors"], 1, "absent.safetensors"),
    ],
)
def test_bad_usage_is_answered(run: Run, arguments: list[str], code: int, message: str) -> None:
    found = run("bench", *arguments)
    assert found.code == code and message in found.err


def test_encoders(run: Run) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    found = run("bench", "encoders", "--model", MODEL, "--repeat", 1, "--least", 0, "--json")
    assert found.code == 0, found.err
    rows = found.json["rows"]
    ours, network, front, resnet, factorized, integers, jpeg = rows
    assert (ours["time_ratio_1"], ours["time_ratio_64"]) == (1, 1)
    assert ours["parameters"] == network["parameters"] < front["parameters"]
    assert integers["parameters"] == front["parameters"]
    assert resnet["parameters"] > 11e6 and 5e8 < resnet["multiply_adds"] < 6e8
    assert factorized["parameters"] > 1.4e6 and jpeg["parameters"] is None
    for row in rows:
        assert row["time_ratio_64"] == pytest.approx(
            ours["images_per_s_64"] / row["images_per_s_64"], rel=2e-3
        )
        assert row.get("millijoules_1", 0) >= 0
        assert ("millijoules_1" in row) == ("package counters" in found.json["notes"])


def test_encoders_without_onnx_names_the_extra(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "onnx.py").write_text("raise ModuleNotFoundError('gone', name='onnx')")
    found = run("bench", "encoders", "--model", MODEL, PYTHONPATH=str(tmp_path / "hidden"))
    assert found.code == 1 and "codecframe[train]" in found.err
