"""What presets make is read by libraries that know nothing of codecframe."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

import codecframe
from codecframe.core.presets import find_preset, preset_names
from codecframe.testing import natural_image
from codecframe_jpeg.tables import HUFFMAN, LUMA

av = pytest.importorskip("av")

IMAGE = natural_image(96, 64, seed=2)
TUNED: dict[str, dict[str, Any]] = {
    "jpeg": {
        "qtables": [LUMA[::-1], LUMA],
        "huffman": [tuple(HUFFMAN[number]) for number in (0, 1, 0x10, 0x11)],
        "deadzone": 0.2,
        "subsampling": "4:4:4",
    },
    "webp": {"segments": 1, "sns_strength": 0, "filter_strength": 0, "passes": 6},
    "avif": {"tune": "psnr", "subsampling": "4:4:4", "speed": 8},
}
CASES = [(name, codecframe.get_codec(name).settings_type.from_dict(s)) for name, s in TUNED.items()]
CASES += [
    (name, find_preset(codecframe.get_codec(name), preset))
    for name in TUNED
    for preset in preset_names(codecframe.get_codec(name))
]


def by_pillow(data: bytes) -> codecframe.Image:
    with PilImage.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def by_ffmpeg(data: bytes) -> codecframe.Image:
    with av.open(io.BytesIO(data)) as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="rgb24"))


@pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("decoder", [by_pillow, by_ffmpeg])
def test_plain_libraries_see_the_same_image(name: str, settings: Any, decoder: Any) -> None:
    codec = codecframe.get_codec(name)
    settings = settings.replace(scale=1.0)
    data = codec.encode(IMAGE, settings)
    seen = decoder(data)
    assert seen.shape == IMAGE.shape
    # decoders differ in how they enlarge chroma and round
    assert np.abs(seen.astype(int) - codec.decode(data)).mean() < 3
