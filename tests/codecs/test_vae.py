"""The learned codec, by a tiny model: the contract, exact latents, limits, damaged model files."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")

from learned import HEADER, LearnedContract

import codecframe
from codecframe.core import registry
from codecframe.core.image import Image
from codecframe.testing import flat_image, natural_image, noise_image
from codecframe_vae.codec import VaeCodec
from codecframe_vae.head import LatentHead
from codecframe_vae.models import CIFAR10
from codecframe_vae.runtime import modelfile
from codecframe_vae.runtime.model import Model
from codecframe_vae.settings import LEVELS, VaeSettings

FOLDER = Path(__file__).parents[1] / "fixtures" / "vae"
MODEL = FOLDER / "tiny.safetensors"
INDEX: dict[str, dict[str, Any]] = json.loads((FOLDER / "index.json").read_text())
CODEC = VaeCodec(Model(MODEL))
IMAGES = {
    "natural": natural_image(32, 32, seed=1),
    "noise": noise_image(32, 32),
    "flat": flat_image(32, 32),
    "wide": natural_image(20, 56, seed=2),
}
settings = VaeSettings().at_level


class TestVae(LearnedContract):
    codec = CODEC
    min_psnr = 10.0
    settings_samples = (VaeSettings(level=0), VaeSettings(level=LEVELS - 1))


# -- encodings ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", INDEX)
def test_encodings_decode_to_the_same_latents_for_ever(name: str) -> None:
    known, data = INDEX[name], (FOLDER / f"{name}.cfv").read_bytes()
    latents = CODEC.decode_latents(data)
    assert (latents.level, list(latents.shape)) == (known["level"], known["shape"])
    assert digest(latents.values.astype("<i4").tobytes()) == known["latents"]
    assert digest(CODEC.strip(data)) == known["payload"]
    shape = (known["shape"][0], known["shape"][1])
    assert CODEC.restore(CODEC.strip(data), settings(known["level"]), shape) == data


@pytest.mark.parametrize("name", INDEX)
def test_encodings_decode_to_the_same_pixels_but_for_rounding(name: str) -> None:
    expected = codecframe.get_codec("png").decode((FOLDER / f"{name}.decoded.png").read_bytes())
    pixels = CODEC.decode((FOLDER / f"{name}.cfv").read_bytes())
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_the_images_of_the_fixtures_can_be_made_again(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_vae", FOLDER / "make.py")
    assert spec is not None and spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    assert set(make.ENCODINGS) == set(INDEX)
    make.write_images(tmp_path, count=2)
    assert len(list(tmp_path.glob("*/*.png"))) == 2 * len(CODEC.model.manifest.classes)


def test_latents_come_as_they_were_sent() -> None:
    model = CODEC.model
    for image in (*IMAGES.values(), natural_image(33, 17), natural_image(1, 1), noise_image(3, 9)):
        real = model.analyse([image])[0]
        for level in (0, 8, LEVELS - 1):
            latents = CODEC.decode_latents(CODEC.encode(image, settings(level)))
            assert latents.values.dtype == np.int32
            assert latents.space == CODEC.emits[0]
            assert (latents.level, latents.shape) == (level, image.shape[:2])
            assert np.array_equal(latents.values, model.quantise(real, level))


def test_an_encoder_in_integers_makes_nearly_the_latents_of_that_in_floats() -> None:
    images = [natural_image(32, 32, seed=i) for i in range(50)]
    assert CIFAR10.encoder(int8=True) != CIFAR10.encoder(int8=False)
    codec = VaeCodec(CIFAR10)
    sent = {}
    for int8 in (True, False):
        payloads = codec.encode_many(images, settings(10).replace(int8=int8))
        sent[int8] = np.stack([codec.decode_latents(payload).values for payload in payloads])
    differ = np.abs(sent[True] - sent[False])
    assert 0 < (differ > 0).mean() < 0.05
    assert differ.max() <= 3


def test_many_encode_and_decode_as_one() -> None:
    """Images of several sizes and more of one size than are coded side by side."""
    images = [natural_image(8 + 4 * (i % 3), 8, seed=i) for i in range(30)] * 30
    for level in (0, LEVELS - 1):
        datas = CODEC.encode_many(images, settings(level))
        assert datas[:30] == [CODEC.encode(image, settings(level)) for image in images[:30]]
        assert datas[30:] == datas[:-30]
        latents = CODEC.decode_latents_many(datas)
        for one, data in zip(latents[:30], datas, strict=False):
            assert np.array_equal(one.values, CODEC.decode_latents(data).values)
        assert all(np.array_equal(a.values, b.values) for a, b in zip(latents, latents[30:]))  # noqa: B905
    assert CODEC.encode_many([], settings(3)) == []
    assert CODEC.decode_latents_many([]) == []


def test_levels_of_several_encodings_may_differ() -> None:
    image = IMAGES["natural"]
    datas = [CODEC.encode(image, settings(level)) for level in range(LEVELS)]
    found = CODEC.decode_latents_many(datas[::-1])
    assert [latents.level for latents in found] == list(range(LEVELS))[::-1]


# -- budgets ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("payload_only", [True, False])
def test_a_fit_is_never_over_and_uses_what_it_is_given(name: str, payload_only: bool) -> None:
    image, overhead = IMAGES[name], 0 if payload_only else HEADER
    levels, places = [], []
    for max_bytes in range(overhead, 201):
        fit = CODEC.fit(image, VaeSettings(), max_bytes, payload_only=payload_only)
        payload = CODEC.strip(fit.data)
        assert fit.size == len(payload) + overhead <= max_bytes
        latents = CODEC.decode_latents(fit.data)
        assert latents.level == fit.settings.level
        whole = CODEC.encode(image, fit.settings)
        if fit.settings.level:
            assert fit.data == whole
        levels.append(fit.settings.level)
        places.append(np.count_nonzero(latents.values))
    assert levels == sorted(levels)
    lowest = places[: levels.count(0)]
    assert lowest == sorted(lowest)
    assert levels[-1] == LEVELS - 1


@pytest.mark.parametrize("start", [0, 9, LEVELS - 1])
def test_a_fit_is_the_highest_level_that_fits(start: int) -> None:
    """Wherever the search starts, where payloads grow from level to level."""
    image = natural_image(64, 64, seed=5)
    sizes = [len(CODEC.encode(image, settings(level))) for level in range(LEVELS)]
    assert sizes == sorted(sizes)
    for level in range(LEVELS):
        found = CODEC.fit(image, settings(start), sizes[level], payload_only=False)
        highest = max(other for other in range(LEVELS) if sizes[other] <= sizes[level])
        assert (found.settings.level, len(found.data)) == (highest, sizes[level])


def test_less_than_a_header_is_refused() -> None:
    for max_bytes in (-1, 0, HEADER - 1):
        with pytest.raises(codecframe.BudgetError) as caught:
            CODEC.fit(IMAGES["flat"], VaeSettings(), max_bytes, payload_only=False)
        assert caught.value.smallest == HEADER
    with pytest.raises(codecframe.BudgetError):
        CODEC.fit(IMAGES["flat"], VaeSettings(), -1, payload_only=True)


def test_an_empty_payload_is_an_image() -> None:
    fit = CODEC.fit(IMAGES["noise"], VaeSettings(), 0, payload_only=True)
    assert CODEC.strip(fit.data) == b""
    assert CODEC.decode(fit.data).shape == (32, 32, 3)


# -- what is refused ----------------------------------------------------------------------


def test_a_payload_that_goes_on_is_refused() -> None:
    data = CODEC.encode(IMAGES["natural"], VaeSettings())
    for more in (b"\0", b"\1\0", bytes(1000), b"\xff" * 8, b"\xff" * 100_000):
        with pytest.raises(codecframe.DataError):
            CODEC.decode(data + more)
        with pytest.raises(codecframe.DataError):
            CODEC.decode_many([data, data + more, data])


def test_data_of_another_model_is_a_mismatch(other_model: Path) -> None:
    data = CODEC.encode(IMAGES["natural"], VaeSettings())
    other = codecframe.get_codec(str(other_model))
    with pytest.raises(codecframe.MismatchError, match="another model"):
        other.decode(data)
    with pytest.raises(codecframe.MismatchError):
        CODEC.decode_latents(other.encode(IMAGES["natural"], VaeSettings()))
    with pytest.raises(codecframe.MismatchError):
        LatentHead("tiny", Model(other_model)).predict([CODEC.decode_latents(data)])


def test_latents_of_several_sizes_are_classified_together() -> None:
    head = LatentHead("tiny", Model(MODEL))
    latents = [CODEC.decode_latents(CODEC.encode(image, settings(9))) for image in IMAGES.values()]
    alone = [head.predict([one]).scores[0] for one in latents]
    assert np.allclose(head.predict(latents).scores, alone, atol=1e-5)


def test_images_over_the_limits_are_refused() -> None:
    """By their shape alone: no memory is taken for them."""
    for shape in ((65_536, 1), (1, 65_536), (60_000, 1_000)):
        image: Image = np.broadcast_to(np.uint8(0), (*shape, 3))
        with pytest.raises(codecframe.LimitError, match="too large"):
            CODEC.encode(image, VaeSettings())
        with pytest.raises(codecframe.LimitError):
            CODEC.fit(image, VaeSettings(), 100, payload_only=True)
    whole = CODEC.encode(IMAGES["flat"], VaeSettings())

    def declaring(level: int, height: int, width: int) -> bytes:
        return whole[:10] + struct.pack(">BHH", level, height, width)

    with pytest.raises(codecframe.LimitError):
        CODEC.decode(declaring(0, 65_535, 65_535))
    with codecframe.limit_pixels(1 << 40), pytest.raises(codecframe.LimitError):
        CODEC.decode(declaring(0, 65_535, 65_535))
    for level, height, width in ((LEVELS, 8, 8), (255, 8, 8), (0, 0, 8), (0, 8, 0)):
        with pytest.raises(codecframe.DataError):
            CODEC.decode(declaring(level, height, width))
    for impossible in ((0, 1), (1, 0), (65_536, 1), (1, 1 << 40)):
        with pytest.raises(codecframe.DataError):
            CODEC.restore(b"", VaeSettings(), impossible)


# -- the head -----------------------------------------------------------------------------


def test_the_head_takes_what_the_codec_gives() -> None:
    images = [natural_image(32, 32, seed=i) for i in range(5)]
    head = codecframe.get_head(str(MODEL))
    assert tuple(head.labels) == ("green", "red", "violet")
    latents = CODEC.decode_latents_many(CODEC.encode_many(images, VaeSettings()))
    scores = head.predict(latents).scores
    assert scores.shape == (5, 3)
    alone = np.concatenate([head.predict([one]).scores for one in latents])
    assert np.allclose(scores, alone, atol=1e-5)


def test_the_head_takes_no_options_and_no_pixels() -> None:
    with pytest.raises(codecframe.MismatchError, match="colour"):
        registry.default().head(str(MODEL), {"colour": "red"})
    with pytest.raises(codecframe.MismatchError):
        codecframe.get_head(str(MODEL)).predict([IMAGES["natural"]])


# -- model files --------------------------------------------------------------------------


def test_damaged_tensors_are_refused(tmp_path: Path) -> None:
    whole = MODEL.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(0)
    for number, position in enumerate(rng.integers(start, len(whole), 20).tolist()):
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        with pytest.raises(codecframe.DataError):
            used(write(tmp_path / f"{number}.safetensors", bytes(damaged)))


def test_a_damaged_list_of_tensors_is_refused(tmp_path: Path) -> None:
    whole = MODEL.read_bytes()
    first, end = whole.index(b'"context.'), 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(1)
    for number, position in enumerate([*range(9), *rng.integers(first, end, 60).tolist()]):
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        with pytest.raises(codecframe.DataError):
            used(write(tmp_path / f"{number}.safetensors", bytes(damaged)))


def test_what_is_noted_about_the_training_changes_no_encoding(tmp_path: Path) -> None:
    whole = MODEL.read_bytes()
    assert b"adam_rate" in whole
    path = write(tmp_path / "noted.safetensors", whole.replace(b"adam_rate", b"adam_RATE"))
    noted = VaeCodec(Model(path))
    for image in IMAGES.values():
        assert noted.encode(image, settings(9)) == CODEC.encode(image, settings(9))


@pytest.mark.parametrize("kept", [0, 1, 8, 100, 0.2, 0.5, 0.999])
def test_a_truncated_model_is_refused(tmp_path: Path, kept: float) -> None:
    whole = MODEL.read_bytes()
    length = kept if isinstance(kept, int) else int(kept * len(whole))
    with pytest.raises(codecframe.DataError, match="not a model file"):
        used(write(tmp_path / "model.safetensors", whole[:length]))


@pytest.mark.parametrize("content", [b"", b"no model", bytes(100), b"\xff" * 100, b"PK\3\4" * 9])
def test_other_files_are_no_models(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "model.safetensors", content)
    for opening in (codecframe.get_codec, codecframe.get_head):
        with pytest.raises(codecframe.DataError, match="not a model file"):
            opening(str(path))


def test_a_missing_file_or_a_folder_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("none", "folder"):
        with pytest.raises(codecframe.DataError):
            codecframe.get_codec(str(tmp_path / f"{name}.safetensors"))


WRONG: dict[str, Any] = {
    "name": 3,
    "channels": 0,
    "groups": 4,
    "stride": "4",
    "levels": 17,
    "classes": 7,
    "geometry": {"resize": 32},
    "rates": None,
    "recipe": [],
    "measured": "good",
    "space": "",
    "digest": 5,
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_manifest_is_refused(tmp_path: Path, field: str) -> None:
    def with_wrong_field(said: dict[str, Any]) -> None:
        said[field] = WRONG[field]

    def without(said: dict[str, Any]) -> None:
        del said[field]

    for number, change in enumerate((with_wrong_field, without)):
        path = rewritten(tmp_path / f"{number}.safetensors", change)
        with pytest.raises(codecframe.DataError):
            used(path)


def test_a_manifest_of_another_format_or_none_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save

    def newer(said: dict[str, Any]) -> None:
        said["format"] = "codecframe-vae/2"

    with pytest.raises(codecframe.DataError, match="codecframe-vae/1"):
        used(rewritten(tmp_path / "newer.safetensors", newer))
    arrays = load_file(MODEL)
    for number, metadata in enumerate((None, {"manifest": "{"}, {"manifest": "[1]"})):
        with pytest.raises(codecframe.DataError):
            used(write(tmp_path / f"{number}.safetensors", save(arrays, metadata)))


BROKEN: dict[str, Callable[[modelfile.Arrays], Any]] = {
    "no level": lambda arrays: arrays.pop("context.5.lut"),
    "no gains": lambda arrays: arrays.pop("levels.up"),
    "no network": lambda arrays: arrays.pop("encoder.onnx"),
    "no graph": lambda arrays: arrays.update({"encoder.onnx": np.zeros(9, np.uint8)}),
    "network of floats": lambda arrays: arrays.update({"encoder.onnx": np.zeros(9)}),
    "short gains": lambda arrays: arrays.update({"levels.up": arrays["levels.up"][:5]}),
    "shifts of texts": lambda arrays: arrays.update({"levels.head": arrays["levels.head"][:, 0]}),
    "other channels": lambda arrays: arrays.update({"context.5.limit": np.ones(5, np.uint8)}),
    "short tables": lambda arrays: arrays.update(
        {"context.5.frequency": arrays["context.5.frequency"][:, :1]}
    ),
    "fewer channels": lambda arrays: arrays.update(
        {
            "context.5.limit": arrays["context.5.limit"][:3],
            "context.5.weight": arrays["context.5.weight"][:, :3, :3],
            "context.5.lut": arrays["context.5.lut"][:, :3],
            "context.5.row": arrays["context.5.row"][:, :3],
        }
    ),
    "integers without a graph": lambda arrays: arrays.update(
        {"int8_encoder.onnx": np.zeros(9, np.uint8)}
    ),
    "integers of floats": lambda arrays: arrays.update({"int8_encoder.onnx": np.zeros(9)}),
    "another network": lambda arrays: arrays.update({"encoder.onnx": arrays["head.onnx"]}),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_model_with_wrong_tensors_is_refused(tmp_path: Path, kind: str) -> None:
    """Though its digests are right: somebody made it so."""
    model = Model(MODEL)
    arrays = dict(model.arrays)
    BROKEN[kind](arrays)
    path = tmp_path / "model.safetensors"
    modelfile.write_model(path, arrays, model.manifest)
    with pytest.raises(codecframe.DataError):
        used(path)


def test_opening_a_model_makes_no_network() -> None:
    """Listings are quick: only the manifest is read."""
    model = Model(MODEL)
    VaeCodec(model).emits  # noqa: B018
    assert "arrays" not in vars(model)


# -- helpers ------------------------------------------------------------------------------


@pytest.fixture
def other_model(tmp_path: Path) -> Path:
    """The same networks with other gains: another latent space."""
    model = Model(MODEL)
    arrays = {**model.arrays, "levels.up": model.arrays["levels.up"] * np.float32(1.5)}
    path = tmp_path / "other.safetensors"
    modelfile.write_model(path, arrays, replace(model.manifest, name="other"))
    return path


def used(path: Path) -> None:
    """Open a model file, encode, decode and classify with it."""
    codec, head = codecframe.get_codec(str(path)), codecframe.get_head(str(path))
    for level in (0, 5, LEVELS - 1):
        data = codec.encode(IMAGES["wide"], settings(level))
        codec.decode(data)
        head.predict([codec.decode_latents(data)])


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the model whose manifest is changed."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save

    with safe_open(MODEL, "np") as file:
        said = json.loads(file.metadata()["manifest"])
    change(said)
    return write(path, save(load_file(MODEL), {"manifest": json.dumps(said)}))


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
