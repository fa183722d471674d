"""Encodings with a picture layer that were committed once decode for ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")

import codecframe

FOLDER = Path(__file__).parents[1] / "fixtures" / "picture"
INDEX: dict[str, dict[str, Any]] = json.loads((FOLDER / "index.json").read_text())
CODEC = codecframe.get_codec(str(FOLDER / "tiny.safetensors"))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", INDEX)
def test_encodings_decode_to_the_same_latents_for_ever(name: str) -> None:
    known, data = INDEX[name], (FOLDER / f"{name}.cfv").read_bytes()
    assert digest(CODEC.decode_latents(data).values.astype("<i4").tobytes()) == known["latents"]
    payload = CODEC.strip(data)
    assert digest(payload) == known["payload"]
    settings = CODEC.settings({key: known[key] for key in ("level", "picture") if key in known})
    assert CODEC.restore(payload, settings, tuple(known["shape"])) == data


@pytest.mark.parametrize("name", INDEX)
def test_encodings_decode_to_the_same_pixels_but_for_rounding(name: str) -> None:
    expected = codecframe.get_codec("png").decode((FOLDER / f"{name}.decoded.png").read_bytes())
    pixels = CODEC.decode((FOLDER / f"{name}.cfv").read_bytes())
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 1
