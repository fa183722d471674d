"""Recipes of kind `head`: a classifier of one's own behind a learned codec that stays as it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
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

import codecframe
from codecframe.core.image import Image
from codecframe.testing import natural_image
from codecframe.training import run_training
from codecframe_vae.runtime.model import Model
from codecframe_vae.settings import LEVELS
from codecframe_vae.training.head import HeadTask

CODEC = Path(__file__).parents[1] / "fixtures" / "vae" / "tiny.safetensors"
"""Trained to tell tints apart, never brightness."""
BRIGHTNESS = {"dark": 0.3, "light": 1.0}
RECIPE: dict[str, Any] = {
    "kind": "head",
    "name": "shades",
    "images": ["shades"],
    "labels": "folders",
    "codec": str(CODEC),
    "head": [8, 0],
    "top": [12, 0],
    "epochs": 6,
    "batch": 20,
    "held_out": 20,
}


def shade(name: str, seed: int) -> Image:
    """An image of a class, 32x32."""
    return (natural_image(32, 32, seed) * BRIGHTNESS[name]).astype(np.uint8)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 images of each class."""
    root = tmp_path_factory.mktemp("data")
    for name in BRIGHTNESS:
        folder = root / "shades" / name
        folder.mkdir(parents=True)
        for seed in range(60):
            PilImage.fromarray(shade(name, seed)).save(folder / f"{seed}.png")
    return root


@pytest.fixture
def train(images: Path, tmp_path: Path) -> Callable[..., Path]:
    """Train by the recipe with some of it changed; returns the model file."""

    def call(**changes: Any) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**RECIPE, **changes}))
        return run_training(path, tmp_path / "models", images)

    return call


def test_a_head_of_ones_own_takes_the_payloads_of_the_codec(train: Callable[..., Path]) -> None:
    made = train()
    head, codec = codecframe.get_head(str(made)), codecframe.get_codec(str(CODEC))
    assert (head.name, head.labels) == ("shades", ("dark", "light"))
    assert head.accepts == codec.emits[0]
    shown = [shade(name, seed) for name in BRIGHTNESS for seed in range(60, 80)]
    for level in (0, LEVELS // 2, LEVELS - 1):
        payloads = codec.encode_many(shown, codec.settings_type(level=level))
        said = head.predict(codec.decode_latents_many(payloads)).scores.argmax(axis=1)
        assert np.mean(said == np.repeat([0, 1], 20)) >= 0.9, f"level {level}"
        assert (
            codecframe.get_codec(str(made)).encode_many(shown, codec.settings_type(level=level))
            == payloads
        ), "the file is the same codec"


def test_its_file_says_how_it_was_made_and_what_it_does(train: Callable[..., Path]) -> None:
    manifest, codecs = Model(train(epochs=1)).manifest, Model(CODEC).manifest
    assert manifest.recipe["codec"] == str(CODEC)
    assert (manifest.rates, manifest.space) == (codecs.rates, codecs.space)
    assert manifest.digest != codecs.digest
    assert manifest.measured["images"] == 20
    assert [row["level"] for row in manifest.measured["levels"]] == list(range(LEVELS))


def test_levels_that_are_not_trained_do_as_the_nearest(train: Callable[..., Path]) -> None:
    shifts = Model(train(levels=[2, 2, 9], epochs=1)).arrays["levels.head"]
    assert len(shifts) == LEVELS
    assert not np.array_equal(shifts[2], shifts[9])
    for level, nearest in ((0, 2), (5, 2), (6, 9), (17, 9)):
        assert np.array_equal(shifts[level], shifts[nearest])


def test_a_stopped_training_goes_on_to_the_same_head(
    train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(epochs=2).read_bytes()
    rows = (tmp_path / "models" / "shades.log" / "log.jsonl").read_text().splitlines()
    shown = [name for name in json.loads(rows[0]) if name.startswith("val top1 at level")]
    assert [name.split()[-1] for name in shown] == ["0", "6", "11", "17"]
    shutil.rmtree(tmp_path / "models")
    validate, epochs = HeadTask.validate, iter([1, 2])

    def stopped(task: HeadTask) -> dict[str, float]:
        if next(epochs) == 2:
            raise KeyboardInterrupt
        return validate(task)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(HeadTask, "validate", stopped)
        train(epochs=2)
    assert train(epochs=2).read_bytes() == whole


def test_only_learned_codecs_have_latents(train: Callable[..., Path]) -> None:
    with pytest.raises(codecframe.MismatchError, match="'jpeg' has no latents"):
        train(codec="jpeg")
    with pytest.raises(codecframe.SettingsError, match="levels"):
        train(levels=[18])
