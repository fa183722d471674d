"""Recipes of kind `encoder`: a small encoder for a learned codec that stays as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image as PilImage

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")

import torch

import codecframe
from codecframe.testing import natural_image
from codecframe.training import run_training
from codecframe_vae.models import CIFAR10
from codecframe_vae.networks.nets import Encoder, folded
from codecframe_vae.runtime.model import Model
from codecframe_vae.training.recipes import SmallEncoderRecipe

TINY = Path(__file__).parents[1] / "fixtures" / "vae" / "tiny.safetensors"
RECIPE: dict[str, Any] = {
    "kind": "encoder", "name": "small", "images": ["images"], "labels": "folders", "codec": "vae",
    "epochs": 6, "batch": 20, "held_out": 10, "shift": 0, "flip": False, "judged": 0.34,
    "stem": [8, 0], "encoder": [12, 2], "separable": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images of each class of CIFAR-10."""
    root = tmp_path_factory.mktemp("data")
    for place, name in enumerate(CIFAR10.manifest.classes):
        folder = root / "images" / name
        folder.mkdir(parents=True)
        for seed in range(8):
            image = natural_image(32, 32, 10 * place + seed)
            PilImage.fromarray(image).save(folder / f"{seed}.png")
    return root


def train(root: Path, folder: Path, **changes: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **changes}))
    return run_training(path, folder / "models", root)


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(root, tmp_path_factory.mktemp("made"))


def test_it_learns_the_latents_and_payloads_stay_valid(made: Path) -> None:
    log = (made.parent / "small.log" / "log.jsonl").read_text()
    rows = [json.loads(row) for row in log.splitlines()]
    errors = [row["val error at level 9"] for row in rows]
    assert errors[-1] < errors[0] - 0.1
    assert "judged" in rows[-1] and "judged" not in rows[0]
    vae, small = codecframe.get_codec("vae"), codecframe.get_codec(str(made))
    image = natural_image(32, 32, 7)
    assert small.encode(image, level=4) == vae.encode(image, level=4)
    for int8 in (True, False):
        data = small.encode(image, level=4, small=True, int8=int8)
        assert data != vae.encode(image, level=4)
        codecframe.get_head("cifar10-vae").predict([vae.decode_latents(data)])
    cap = len(vae.strip(data)) - 3
    found, _ = codecframe.fit(small, image, small.settings(small=True), max_bytes=cap)
    assert len(small.strip(found.data)) <= cap
    said = Model(made).manifest
    assert said.space == CIFAR10.manifest.space and said.small["encoder"] == [12, 2]


def test_a_device_gets_it_too(made: Path, tmp_path: Path) -> None:
    import codecframe_vae

    bundle = codecframe_vae.export(made, tmp_path / "board", device=True)
    assert {"small float32", "small int8"} <= set(bundle.encoders)
    manifest = json.loads((tmp_path / "board" / "manifest.json").read_text())
    assert (tmp_path / "board" / manifest["encoders"]["small int8"]).exists()


def test_models_without_one_say_so() -> None:
    codec = codecframe.get_codec(str(TINY))
    with pytest.raises(codecframe.SettingsError, match="tiny has no small encoder"):
        codec.encode(natural_image(8, 8, 1), small=True)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"latents": 8}, "has 16 channels of latents, not 8"),
        ({"head": [256, 0]}, "head of another kind"),
        ({"codec": "jpeg"}, "'jpeg' has no latents"),
        ({"codec": str(TINY)}, "knows 3 classes"),
    ],
)
def test_networks_of_other_sizes_are_refused(
    root: Path, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(codecframe.MismatchError, match=why):
        train(root, tmp_path, **changes)


def test_a_separable_encoder_is_the_same_with_its_normalisations_folded() -> None:
    given = {key: RECIPE[key] for key in ("stem", "encoder", "separable")}
    widths = SmallEncoderRecipe.from_dict(given).widths(3, 2)
    encoder, dense = Encoder(widths), Encoder(replace(widths, separable=False))
    images = torch.from_numpy(np.stack([natural_image(32, 32, seed) for seed in range(8)]))
    images = images.permute(0, 3, 1, 2)
    encoder.train()(images)
    encoder.eval()
    with torch.inference_mode():
        assert torch.allclose(folded(encoder)(images), encoder(images), atol=1e-4)
    assert _weights(encoder) < _weights(dense)


def _weights(encoder: Encoder) -> int:
    return sum(one.numel() for one in encoder.parameters())
