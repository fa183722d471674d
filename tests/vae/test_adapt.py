"""A head is adapted to what a codec leaves: without labels, by the clock, and goes on."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import onnx_file
from PIL import Image as PilImage

import codecframe
from codecframe.core.progress import Silent

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
from codecframe_torch import TorchHead  # noqa: E402
from codecframe_vae.adapt import train  # noqa: E402
from codecframe_vae.training.optim import Optimizers, Part  # noqa: E402
from codecframe_vae.training.timed import train_for  # noqa: E402

LABELS = [f"grain {i}" for i in range(10)]
PREPROCESS = {"resize": [32, 32], "mean": [0.1], "std": [0.5]}


class Grain(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Ten classes of how much detail there is, which codecs take away."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.filter = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(8)
        self.act = torch.nn.ReLU(inplace=True)
        self.out = torch.nn.Linear(8, 10)
        with torch.no_grad():
            self.filter.weight -= self.filter.weight.mean((2, 3), keepdim=True)
            self.out.weight *= 400

    def forward(self, images: Any) -> Any:
        return self.out(self.act(self.norm(self.filter(images))).mean((2, 3)))


def grain() -> TorchHead:
    return TorchHead(Grain(), labels=LABELS, preprocess=PREPROCESS, name="grain")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(40):
        noise = np.random.default_rng(i).normal(128, 2 * i, (40, 40, 3))
        PilImage.fromarray(noise.clip(0, 255).astype(np.uint8)).save(folder / f"{i:02}.png")
    return folder


class Ticks:
    """Seconds that pass when somebody looks at the clock, so that busy machines train as much."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


@pytest.fixture(autouse=True)
def _by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "train_for", partial(train_for, clock=Ticks()))


def adapted(pictures: Path, output: Path, **more: Any) -> codecframe.Adapted:
    options = {"rates": [1.0, 2.0], "minutes": 0.5, "warn": lambda _: None, **more}
    return codecframe.adapt(grain(), pictures, "jpeg", output=output, **options)


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_head_gains_behind_the_codec_and_the_same_call_goes_on(
    pictures: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new.pt2"
    found = adapted(pictures, target)
    clean, *behind = found.points
    assert (clean.bpp, clean.agreement[0], found.images) == (None, 1, 5)
    assert behind[0].bpp is not None
    assert behind[0].bpp < behind[-1].bpp
    check_described(target)
    rows = logged(tmp_path / "new.log")
    assert rows[-1]["found"] < rows[0]["found"]
    adapted(pictures, target, minutes=0.6)
    more = logged(tmp_path / "new.log")
    assert more[: len(rows)] == rows
    assert more[-1]["step"] > rows[-1]["step"] > 0
    with pytest.raises(codecframe.MismatchError, match="another settings"):
        adapted(pictures, target, rates=[0.5, 2.0])


def test_a_head_of_onnx(pictures: Path, tmp_path: Path) -> None:
    check_described(adapted(pictures, tmp_path / "new.onnx", minutes=0.0).path)


def check_described(path: Path) -> None:
    """The head opens from one file, with labels and preprocessing."""
    head = codecframe.get_head(str(path))
    assert isinstance(head, codecframe.ClassifierHead)
    assert head.labels == tuple(LABELS)
    assert head.preprocess == codecframe.Preprocess.of(PREPROCESS)
    assert head.outputs == "logits"


def test_what_a_model_file_says_of_itself_is_checked(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(onnx_file(tmp_path / "odd.onnx"))
    model.metadata_props.add(key="codecframe", value=json.dumps({"labels": LABELS[:5]}))
    onnx.save(model, tmp_path / "odd.onnx")
    assert codecframe.get_head(str(tmp_path / "odd.onnx")).labels == tuple(LABELS[:5])
    model.metadata_props[0].value = json.dumps({"outputs": "nothing"})
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(codecframe.DataError, match="description cannot be read"):
        codecframe.get_head(str(tmp_path / "odd.onnx"))


def test_nobodys_file_is_overwritten(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.pt2").write_bytes(b"a model")
    with pytest.raises(codecframe.OutputError, match="did not make"):
        adapted(pictures, tmp_path / "mine.pt2")
    assert (tmp_path / "mine.pt2").read_bytes() == b"a model"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"budget": "6bpp", "rates": [6.0]}, "budget and rates"),
        ({"and_tune": True}, "and_tune needs budget"),
        ({"output": "new.yaml"}, ".pt2 or .onnx"),
        ({"budget": "6bpp", "group": "folder", "held_out": "a.png"}, "held_out says"),
    ],
)
def test_what_does_not_go_together_is_refused(
    pictures: Path, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(codecframe.UsageError, match=said):
        codecframe.adapt(grain(), pictures, "jpeg", **more)


def test_the_old_order_of_arguments_is_refused(pictures: Path) -> None:
    with pytest.raises(codecframe.UsageError, match="takes head, images, codec: 'jpeg' is a codec"):
        codecframe.adapt("jpeg", pictures, grain())  # type: ignore[arg-type]


def test_settings_are_tuned_in_turn(pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    found = codecframe.adapt(
        grain(), pictures, "webp", budget="100B", and_tune=True, trials=1, minutes=0.1,
        output=tmp_path / "new.pt2", warn=lambda _: None,
    )  # fmt: skip
    assert found.preset == tmp_path / "new.yaml"
    preset = codecframe.Preset.read(found.preset)
    assert preset.made["head"] == "new-1"  # the adapted one
    assert str(found.preset) in found.codec
    codecframe.parse_spec(found.codec)


def test_heads_without_gradients_are_told_so(pictures: Path, tmp_path: Path) -> None:
    class Mean(codecframe.ClassifierHead):
        def run(self, values: Any) -> Any:
            return values.mean((2, 3))

    head = Mean("mean", outputs="logits", preprocess=PREPROCESS)
    with pytest.raises(codecframe.MismatchError, match="torch can differentiate"):
        codecframe.adapt(head, pictures, "jpeg", output=tmp_path / "new.pt2", rates=[1.0])
    assert not (tmp_path / "new.pt2").exists()


def test_the_first_kernels_learn_faster_than_the_last() -> None:
    layers = torch.nn.Sequential(*(torch.nn.Linear(4, 4, bias=False) for _ in range(3)))
    with torch.no_grad():
        for scale, layer in zip((1.0, 2.0, 100.0), layers, strict=True):
            layer.weight.fill_(scale)
    rates = [part.rate for part in train.parts(layers, 1e-3, 4.0)]
    assert rates == pytest.approx([4e-3, 2e-3, 25e-3])


def test_weights_go_back_as_far_as_they_must() -> None:
    old, new = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        old.weight.fill_(1.0)
        new.weight.fill_(2.0)
    train.go_back(new, old, lambda: float(new.weight.detach()) - 1, 0.4)
    assert float(new.weight.detach()) == 1.375  # the first eighth below 1.4
    assert float(old.weight.detach()) == 1


class Falling:
    """One number that is to become small, seen at each tenth second."""

    def __init__(self) -> None:
        self.weight = torch.full((1,), 4.0, requires_grad=True)
        self.weights = {"weight": self.weight}
        self.now = 0.0
        self.stop_at = float("inf")
        self.validation = 0.0
        self.looks = 0
        self.seen: list[float] = []

    def clock(self) -> float:
        return self.now

    def step(self, number: int, progress: float) -> Any:
        if self.now >= self.stop_at:
            raise KeyboardInterrupt
        self.now += 0.1
        self.seen.append(progress)
        return self.weight.square().sum()

    def validate(self) -> tuple[float, str]:
        self.now += self.validation
        self.looks += 1
        return float(self.weight.detach().abs()), "weight"


def run_of(folder: Path) -> codecframe.TrainingRun:
    return codecframe.TrainingRun("falling", [], (), folder, folder / "x", {}, Silent)


def timed(task: Falling, folder: Path, minutes: float = 2.0) -> None:
    parts = [Part("adam", [task.weight], 0.01)]
    facts = {"head": "falling"}
    train_for(minutes, task, Optimizers(parts), run_of(folder), facts, clock=task.clock)


def test_a_timed_training_ends_with_its_time_and_the_best_model(tmp_path: Path) -> None:
    task = Falling()
    timed(task, tmp_path)
    assert 119 < task.now < 121
    assert task.seen == sorted(task.seen)
    assert float(task.weight.detach()) < 1


def test_a_timed_training_hardly_waits_for_slow_validation(tmp_path: Path) -> None:
    task = Falling()
    task.validation = 6.0
    timed(task, tmp_path)
    assert task.looks * task.validation < 0.2 * task.now


def test_a_stopped_timed_training_goes_on_with_the_time_that_is_left(tmp_path: Path) -> None:
    first = Falling()
    first.stop_at = 70.0
    with pytest.raises(KeyboardInterrupt):
        timed(first, tmp_path)
    best = float(first.weight.detach())
    assert best < 4  # what was found until then
    second = Falling()
    timed(second, tmp_path)
    assert second.seen[0] > 0.3
    assert second.now < 80
    assert float(second.weight.detach()) < best
