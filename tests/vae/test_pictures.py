"""Picture layers of learned codecs: any components round trip, the contract, damaged files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")

from learned import LearnedContract

import codecframe
from codecframe.testing import LayeredContract, natural_image
from codecframe.training import run_training
from codecframe_vae.entropy.magnitude import CLASSES, MagnitudeArrays, MagnitudeModel
from codecframe_vae.entropy.rangecoder import TOTAL, CorruptPayloadError
from codecframe_vae.pictured import PictureVaeCodec
from codecframe_vae.runtime import modelfile
from codecframe_vae.runtime.model import Model

CODEC = Path(__file__).parents[1] / "fixtures" / "vae" / "tiny.safetensors"
SHIPPED = codecframe.get_codec("vae")
assert isinstance(SHIPPED, PictureVaeCodec)
RECIPE = {
    "kind": "picture",
    "name": "shown",
    "codec": str(CODEC),
    "images": ["images"],
    "held_out": 6,
    "minutes": 0.01,
    "batch": 4,
    "channels": 12,
    "groups": 3,
    "width": 8,
    "blocks": 1,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with a picture layer, fitted to some images without labels."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "images").mkdir()
    for seed in range(16):
        PilImage.fromarray(natural_image(48, 64, seed)).save(folder / f"images/{seed}.png")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return run_training(folder / "recipe.yaml", folder / "models", folder)


class TestPictures(LearnedContract, LayeredContract):
    codec = SHIPPED
    min_picture_psnr = 28.0

    def test_fidelity_grows_with_level(self, settings: codecframe.Settings) -> None:
        """What the task layer alone shows is not asked for fidelity."""

    def test_a_truncated_payload_is_not_taken_for_the_whole(
        self, settings: codecframe.Settings
    ) -> None:
        """Where the picture is cut, the latents are whole."""
        assert isinstance(settings, codecframe.LayeredSettings)
        if settings.picture == "none":
            super().test_a_truncated_payload_is_not_taken_for_the_whole(settings)


def test_the_task_layer_is_that_of_the_codec(made: Path) -> None:
    image = natural_image(40, 56, seed=99)
    for codec in map(codecframe.get_codec, map(str, (CODEC, made))):
        data = codec.encode(image, level=7)
        found = codecframe.get_codec(str(CODEC)).decode_latents(data)
        assert np.array_equal(found.values, codec.decode_latents(data).values)


def test_a_picture_of_other_tables_is_refused(made: Path, tmp_path: Path) -> None:
    model = Model(made)
    arrays = {**model.arrays, "picture.steps": model.arrays["picture.steps"] * 2}
    modelfile.write_model(tmp_path / "other.safetensors", arrays, model.manifest)
    other = codecframe.get_codec(str(tmp_path / "other.safetensors"))
    data = codecframe.get_codec(str(made)).encode(natural_image(16, 16), picture=3)
    with pytest.raises(codecframe.MismatchError, match="picture"):
        other.decode(data)


@pytest.mark.parametrize(
    "change",
    ["forward", "offset", "steps", "shifts", "weight", "groups", "3.edges", "3.row", "3.limit"],
)
def test_damaged_layers_are_refused(made: Path, tmp_path: Path, change: str) -> None:
    model, path = Model(made), tmp_path / "bad.safetensors"
    name = f"picture.{change}"
    array = model.arrays[name]
    changes = [{name: array[:-1]}, {name: array.astype(np.int64)}]
    if array.dtype == np.float32:
        changes.append({name: np.full_like(array, np.nan)})
    for other in changes:
        modelfile.write_model(path, {**model.arrays, **other}, model.manifest)
        with pytest.raises(codecframe.DataError):
            codecframe.get_codec(str(path))
    rest = {key: value for key, value in model.arrays.items() if key != name}
    modelfile.write_model(path, rest, model.manifest)
    with pytest.raises(codecframe.DataError):
        codecframe.get_codec(str(path))


def test_only_learned_codecs_get_pictures(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "codec": "webp"}))
    with pytest.raises(codecframe.MismatchError, match="webp"):
        run_training(path, tmp_path / "models", made.parents[1])


# -- the entropy coder --------------------------------------------------------------------


def model_of(seed: int, channels: int, groups: int) -> MagnitudeModel:
    """A coder of random integers, whose tables have all symbols that can occur."""
    rng = np.random.default_rng(seed)
    limit = rng.integers(0, 5, channels).astype(np.uint8)
    limit[0] = 4
    alphabet, tables = 9, 6
    share = rng.random((tables, alphabet)) ** 4
    frequency = 1 + np.floor(share / share.sum(1, keepdims=True) * (TOTAL - alphabet))
    frequency[:, 0] += TOTAL - frequency.sum(1)
    weight = rng.integers(-127, 128, (2, 2, channels, channels, 9)).astype(np.int8)
    edges = np.sort(rng.integers(-900, 900, (2, 2, channels, CLASSES - 1)), axis=3)
    row = rng.integers(0, tables, (2, channels, CLASSES, CLASSES))
    arrays = MagnitudeArrays(
        limit, edges.astype(np.int32), row.astype(np.uint16), frequency.astype(np.uint16)
    )
    return MagnitudeModel(weight, arrays, groups)


@given(st.integers(0, 99), st.sampled_from([(1, 1), (4, 2), (6, 3)]), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_components_round_trip(seed: int, sizes: tuple[int, int], side: int) -> None:
    model = model_of(seed, *sizes)
    height, width = 1 + side % 4, 1 + side // 2
    real = np.random.default_rng(seed).normal(0, 2, (3, sizes[0], height, width))
    sent = model.clip(np.rint(real))
    payloads = model.encode(sent)
    assert np.array_equal(model.decode(payloads, height, width), sent)
    ideal = model.ideal_bytes(sent)
    assert all(abs(len(p) - i) < 2 for p, i in zip(payloads, ideal, strict=True))
    with pytest.raises(CorruptPayloadError):
        model.decode([payloads[0] + b"\1" * 80], height, width)


def test_coders_that_are_not_exact_are_refused() -> None:
    model = model_of(0, 4, 2)
    weight = np.zeros((2, 2, 4, 4, 9), np.int8)
    MagnitudeModel(weight, model.arrays, 2)
    for arrays in (
        replace(model.arrays, limit=np.full(4, 128, np.uint8)),
        replace(model.arrays, limit=np.full(4, 5, np.uint8)),
        replace(model.arrays, row=model.arrays.row + np.uint16(50)),
        replace(model.arrays, edges=model.arrays.edges.astype(np.int64)),
        replace(model.arrays, frequency=model.arrays.frequency[:, :-1]),
    ):
        with pytest.raises(ValueError, match=r"."):
            MagnitudeModel(weight, arrays, 2)
    with pytest.raises(ValueError, match="groups"):
        MagnitudeModel(weight, model.arrays, 3)
