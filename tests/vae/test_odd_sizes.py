"""Codecs in front of classifiers whose images are not a multiple of the cut's stride."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

import torch
from torch import nn

import codecframe
from codecframe.core.errors import OutputError
from codecframe.testing import natural_image
from codecframe.training import run_training
from codecframe_torch import TorchHead
from codecframe_vae.bottleneck.grid import grid_of, resized
from codecframe_vae.runtime.modelfile import read_manifest

RECIPE = """
    kind: bottleneck
    name: mine
    images: [photos]
    head: unused
    layer: "5"
    latents: 8
    groups: 2
    rates: [0.5, 4.0]
    shares: [0.5, 0.5]
    lambdas: [1.0e-4, 1.0e-6]
    lowest: 0.5
    octave: 6
    batch: 16
    epochs: 1
    held_out: 4
    measured: 50
    decoder_epochs: 1
    decoder_width: 8
    adapter: [8, 1]
"""


def convolutions(kernels: tuple[int, int, int], padding: tuple[int, int, int]) -> nn.Sequential:
    """Three that halve the sides; the cut is behind them."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for number, (kernel, pad) in enumerate(zip(kernels, padding, strict=True)):
        layers += [nn.Conv2d((3, 8, 12)[number], (8, 12, 16)[number], kernel, 2, pad), nn.ReLU()]
    rest = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3)
    return nn.Sequential(*layers, *rest).eval()


KINDS = {
    "padded": ((20, 20), (5, 3, 3), (2, 1, 1)),  # maps of 3 x 3
    "not padded": ((37, 45), (3, 3, 3), (0, 0, 0)),  # 3 x 4 of 5 x 6 squares
    "padded too far": ((24, 16), (3, 3, 3), (1, 1, 2)),  # 4 x 3 of 3 x 2 squares
}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for i in range(56):
        PilImage.fromarray(natural_image(48, 50, seed=i)).save(tmp_path / f"photos/{i:02}.png")
    (tmp_path / "mine.yaml").write_text(textwrap.dedent(RECIPE))
    return tmp_path


def with_head(
    patch: pytest.MonkeyPatch, net: nn.Module, shape: tuple[int, int], **preprocess: Any
) -> TorchHead:
    """A head that the recipe names."""
    said = {"crop": list(shape), "mean": [0.5], "std": [0.25], **preprocess}
    head = TorchHead(net, name="net", labels=["a", "b", "c"], preprocess=said)
    patch.setattr(codecframe, "get_head", lambda *_: head)
    return head


class _BeginsError(Exception):
    """Instead of a training."""


@pytest.mark.parametrize("kind", ["padded", "padded too far"])  # the third is trained below
def test_all_that_comes_after_a_training_is_tried_before_it(
    kind: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*_: Any) -> None:
        raise _BeginsError

    shape, kernels, padding = KINDS[kind]
    with_head(monkeypatch, convolutions(kernels, padding), shape)
    monkeypatch.setattr("codecframe_vae.bottleneck.train.train", train)
    with pytest.raises(_BeginsError):
        run_training(photos / "mine.yaml", photos / "models", photos)


def test_any_size_is_trained_coded_and_classified(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, kernels, padding = KINDS["not padded"]
    with monkeypatch.context() as patch:
        theirs = with_head(patch, convolutions(kernels, padding), shape)
        made = run_training(photos / "mine.yaml", photos / "models", photos)
    manifest = read_manifest(made)
    assert manifest.stride == 8
    assert manifest.filled == (not any(side % 8 for side in shape))
    codec, head = codecframe.get_codec(str(made)), codecframe.get_head(str(made))
    images = [theirs.prepare(natural_image(60, 60, seed=100 + i)) for i in range(20)]
    datas = codec.encode_many(images, codec.settings_type().at_level(17))
    latents = codec.decode_latents_many(datas)
    assert latents[0].values.shape[1:] == tuple(-(-side // 8) for side in shape)
    ours, wanted = head.predict(latents).scores, theirs.predict(images).scores
    assert np.corrcoef(ours.ravel(), wanted.ravel())[0, 1] > 0.8
    assert codec.decode(datas[0]).shape == (*shape, 3)
    with pytest.raises(codecframe.MismatchError, match=f"{shape[1]} x {shape[0]} pixels"):
        other = codec.encode(natural_image(64, 72, seed=1), codec.settings_type())
        head.predict([codec.decode_latents(other)])


def test_what_would_fail_at_the_end_fails_before_any_training(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spectrum(nn.Module):
        """Which torch runs, and ONNX does not have in this form."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svdvals(x)[:, :, :1, None] + x

    net = convolutions((3, 3, 3), (1, 1, 1))
    net.insert(6, Spectrum())
    with_head(monkeypatch, net, (24, 24))
    with pytest.raises(codecframe.MismatchError, match="cannot be exported"):
        run_training(photos / "mine.yaml", photos / "models", photos)
    made = {path.name for path in (photos / "models").rglob("*")}
    assert made == {"mine.log", "training.json"}, "nothing but the record of its own folder"


def test_a_place_that_cannot_be_written_fails_before_any_training(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_head(monkeypatch, convolutions((3, 3, 3), (1, 1, 1)), (24, 24))
    (photos / "models" / "mine.safetensors").mkdir(parents=True)
    with pytest.raises(OutputError, match="is a folder"):
        run_training(photos / "mine.yaml", photos / "models", photos)
    assert not (photos / "models" / "mine.log" / "log.jsonl").exists()


def test_a_file_where_log_and_checkpoints_belong_is_named(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_head(monkeypatch, convolutions((3, 3, 3), (1, 1, 1)), (24, 24))
    (photos / "models").mkdir()
    (
        photos / "models" / "mine.log"
    ).touch()  # as `codecframe learn -o mine.safetensors > mine.log` does
    with pytest.raises(OutputError, match=r"mine\.log: is a file"):
        run_training(photos / "mine.yaml", photos / "models", photos)


def test_a_changed_head_or_other_images_do_not_go_on_silently(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = convolutions((3, 3, 3), (1, 1, 1))

    for name in ("finish", "rehearse", "of_images", "head_graph"):  # the training alone
        monkeypatch.setattr(f"codecframe_vae.bottleneck.train.{name}", lambda *_: None)

    def trained() -> int:
        """Epochs that have run."""
        run_training(photos / "mine.yaml", photos / "models", photos)
        log = photos / "models" / "mine.log" / "log.jsonl"
        return len([json.loads(line) for line in log.open()])

    with monkeypatch.context() as patch:
        with_head(patch, net, (24, 24))
        assert trained() == 1
        assert trained() == 1  # the same: nothing is left to do
    with monkeypatch.context() as patch:
        with_head(patch, net, (24, 24), mean=[0.4])
        with pytest.raises(codecframe.MismatchError, match="another head"):
            trained()
    with monkeypatch.context() as patch:
        with_head(patch, convolutions((3, 3, 3), (1, 1, 1)), (24, 24))
        assert trained() == 1  # another object of the same weights
        with torch.no_grad():
            net[0].weight *= 1.01
        with_head(patch, net, (24, 24))
        with pytest.raises(codecframe.MismatchError, match="another head"):
            trained()
    with monkeypatch.context() as patch:
        with_head(patch, convolutions((3, 3, 3), (1, 1, 1)), (24, 24))
        (photos / "photos" / "00.png").unlink()
        with pytest.raises(codecframe.MismatchError, match="other images"):
            trained()


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3, 3)), "power|one of 2, 4"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1)), "one of 2, 4"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, (2, 4), 1)), "must be alike"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.AdaptiveAvgPool2d(3)), "one of 2, 4"),
    ],
)
def test_strides_that_no_decoder_undoes_are_refused(layers: nn.Module, reason: str) -> None:
    with pytest.raises(codecframe.MismatchError, match=reason):
        grid_of(layers, "0", torch.zeros(2, 3, 30, 36))


def test_maps_are_cut_off_or_their_ends_repeated() -> None:
    maps = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert resized(maps, 3, 2)[0, 0].tolist() == [[0, 1], [3, 4], [3, 4]]
    assert torch.equal(resized(maps, 2, 3), maps)
