import io

import numpy as np
import pytest

import codecframe
from codecframe.core.registry import require
from codecframe.testing import CodecContract, natural_image, psnr

pillow_heif = pytest.importorskip("pillow_heif")

from codecframe_heic import codec as module  # noqa: E402
from codecframe_heic.codec import HeicCodec  # noqa: E402
from codecframe_heic.settings import HeicSettings  # noqa: E402

CODEC = HeicCodec()
FAST = HeicSettings(effort="ultrafast")


class TestHeic(CodecContract):
    codec = CODEC
    settings_samples = (
        FAST.replace(subsampling="4:4:4"),
        HeicSettings(effort="placebo", tune="psnr", intra_depth=4),
    )


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("shape", [(1, 1), (32, 32), (33, 70), (200, 90)], ids=str)
def test_only_the_slice_is_left(shape, subsampling):
    data = CODEC.encode(natural_image(*shape), FAST.replace(subsampling=subsampling))
    payload = CODEC.strip(data)
    assert len(data) - len(payload) > 350
    assert data.endswith(payload)


def test_a_large_image_keeps_its_boxes():
    image = natural_image(600, 500)
    data = CODEC.encode(image, FAST)
    assert CODEC.strip(data) == data
    assert CODEC.restore(data, FAST, (600, 500)) == data


def test_an_unexpected_beginning_is_marked_and_kept(monkeypatch):
    blank = module._blank_head
    monkeypatch.setattr(module, "_blank_head", lambda settings, shape: blank(settings, (8, 8)))
    image = natural_image(64, 96)
    data = CODEC.encode(image, FAST)
    assert CODEC.strip(data) == data
    assert CODEC.restore(data, FAST, (64, 96)) == data
    assert psnr(CODEC.decode(data), image) > 25


TOOLS = ("aq", "deblocking", "sao")


@pytest.mark.parametrize("tool", TOOLS)
def test_without_a_tool_only_the_slice_is_left(tool):
    settings = HeicSettings(quality=20, **{tool: False})
    for shape in ((32, 32), (96, 70)):
        image = natural_image(*shape, seed=3)
        data = CODEC.encode(image, settings)
        payload = CODEC.strip(data)
        assert len(data) - len(payload) > 350
        assert CODEC.restore(payload, settings, shape) == data
        assert psnr(CODEC.decode(data), image) > 15
    assert data != CODEC.encode(image, settings.replace(**{tool: True}))


def test_advanced_parameters_reach_the_encoder():
    image = natural_image(64, 64)
    plain = CODEC.encode(image, FAST)
    assert CODEC.encode(image, FAST.replace(advanced=("x265:sao=1", "x265:rd=4"))) != plain
    with pytest.raises(codecframe.SettingsError, match="no-such"):
        CODEC.encode(image, FAST.replace(advanced=("no-such=1",)))
    with pytest.raises(codecframe.SettingsError, match="key=value"):
        HeicSettings(advanced=("sao",))


def encoded(mode: str, image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.encode(mode, image.shape[1::-1], image.tobytes(), buffer, quality=90)
    return buffer.getvalue()


def test_greyscale_alpha_and_deep_samples():
    image = natural_image(64, 96)
    grey = CODEC.decode(encoded("L", image[:, :, 1]))
    assert psnr(grey, np.repeat(image[:, :, 1:2], 3, axis=2)) > 35
    opaque = np.dstack([image, np.full((64, 96), 255, np.uint8)])
    assert psnr(CODEC.decode(encoded("RGBA", opaque)), image) > 25
    assert psnr(CODEC.decode(encoded("RGB;16", image.astype(np.uint16) * 257)), image) > 25


def test_says_what_installs_it():
    assert CODEC.requires == {"pillow_heif": "codecframe[heic]"}
    with pytest.raises(codecframe.DependencyError, match=r"pip install 'codecframe\[heic\]'"):
        require("pillow_heif_that_is_absent", "codecframe[heic]")
