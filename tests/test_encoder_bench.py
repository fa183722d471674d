"""What the benchmark `encoders` counts and measures with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx

import codecframe
from codecframe_vae.bench.baselines import factorized, resnet18
from codecframe_vae.bench.count import count
from codecframe_vae.bench.encoders import synthetic_images
from codecframe_vae.bench.energy import PackageCounters
from codecframe_vae.runtime.model import Model, open_session

MODEL = Model(Path(__file__).parent / "fixtures" / "vae" / "tiny.safetensors")


def test_counts_are_those_by_hand() -> None:
    # 4x4 kernels at half of 32x32, 3x3 ones at the same, 1x1 ones at a quarter
    parameters = (8 * 3 * 16 + 8) + (8 * 8 * 9 + 8) + (6 * 8 + 6)
    products = 16 * 16 * 8 * (3 * 16 + 8 * 9) + 8 * 8 * 6 * 8
    assert count(MODEL.arrays["encoder.onnx"].tobytes(), 32) == (parameters, products)


def test_counts_grow_with_the_image() -> None:
    parameters, products = count(factorized(), 32)
    assert count(factorized(), 64) == (parameters, 4 * products)


def test_a_graph_of_other_inputs_is_refused() -> None:
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])],
        "flat",
        [onnx.helper.make_tensor_value_info("x", kind, ["n", 5])],
        [onnx.helper.make_tensor_value_info("y", kind, ["n", 5])],
    )
    with pytest.raises(codecframe.DataError, match="takes no images"):
        count(onnx.helper.make_model(graph).SerializeToString(), 32)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (partial(resnet18, 2), (2, 128, 16, 16)),
        (resnet18, (2, 10)),
        (factorized, (2, 192, 2, 2)),
    ],
)
def test_baselines_make_finite_values(make: Callable[[], bytes], shape: tuple[int, ...]) -> None:
    made = open_session(make(), "baseline").run(None, {"images": synthetic_images(2, 32)})[0]
    assert made.shape == shape and np.isfinite(made).all() and made.std() > 0


def test_images_are_pictures_of_any_size() -> None:
    images = synthetic_images(3, 48)
    assert images.shape == (3, 48, 48, 3) and images.dtype == np.uint8
    steps = np.abs(np.diff(images.astype(float), axis=1)).mean()
    assert 3 < steps < 0.3 * images.std()


def zone(folder: Path, name: str, energy: int, turn: int = 1000_000) -> Path:
    (folder / name).mkdir()
    (folder / name / "energy_uj").write_text(f"{energy}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{turn - 1}\n")
    return folder / name / "energy_uj"


def test_energy_of_all_packages_but_not_of_their_parts(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", 100)
    part = zone(tmp_path, "intel-rapl:0:0", 50)
    second = zone(tmp_path, "intel-rapl:1", 999_990)
    counters = PackageCounters(tmp_path)
    before = counters.read()
    first.write_text("400\n")
    part.write_text("60\n")
    second.write_text("10\n")  # it has turned over
    assert counters.joules(before, counters.read()) == pytest.approx(320e-6)


def test_energy_is_not_told_where_it_is_not_counted(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 100).unlink()
    for folder in (tmp_path, tmp_path / "absent"):
        assert PackageCounters.found(folder) is None
    zone(tmp_path, "intel-rapl:1", 100)
    assert PackageCounters.found(tmp_path) is None
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("1\n")
    assert PackageCounters.found(tmp_path) is not None
