"""Encodings that were committed once decode to the same pixels for ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codecframe
from codecframe.core import registry

FOLDER = Path(__file__).parents[1] / "fixtures"
INDEX: dict[str, dict[str, Any]] = json.loads((FOLDER / "index.json").read_text())


def opened(name: str) -> tuple[codecframe.Codec[Any], bytes]:
    """The codec of an encoding, and the encoding."""
    codec = codecframe.get_codec(INDEX[name]["codec"])
    for requirement in registry.missing(codec.requires):
        pytest.skip(f"needs {requirement}")
    return codec, (FOLDER / INDEX[name]["file"]).read_bytes()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", INDEX)
def test_decodes_to_the_same_pixels(name: str) -> None:
    codec, data = opened(name)
    pixels = codec.decode(data)
    known = INDEX[name]
    if "tolerance" not in known:
        assert pixels.shape == (*known["shape"], 3)
        assert digest(pixels.tobytes()) == known["pixels"]
        return
    expected = codecframe.get_codec("png").decode((FOLDER / known["decoded"]).read_bytes())
    assert digest(expected.tobytes()) == known["pixels"]
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= known["tolerance"]


@pytest.mark.parametrize("name", INDEX)
def test_has_the_same_payload(name: str) -> None:
    """A sender of today and a receiver of tomorrow understand each other, and the reverse."""
    codec, data = opened(name)
    known = INDEX[name]
    payload = codec.strip(data)
    settings = codec.settings_type.from_dict(known["settings"])
    assert digest(payload) == known["payload"]
    assert codec.restore(payload, settings, tuple(known["shape"])) == data


def test_every_codec_has_encodings() -> None:
    pytest.importorskip("onnxruntime")  # for the models
    pytest.importorskip("safetensors")
    covered = {known["codec"] for known in INDEX.values()}
    codecs = registry.default().codecs
    known = {type(codecs[name]) for name in covered}
    known |= {type(codecframe.get_codec(str(path))) for path in FOLDER.glob("*/*.safetensors")}
    assert {name for name, codec in codecs.items() if type(codec) not in known} == set()
