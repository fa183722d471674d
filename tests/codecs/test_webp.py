"""WebP, lossy and lossless: the contract, and what is their own."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

import codecframe
from codecframe.testing import CodecContract, natural_image
from codecframe_webp import container
from codecframe_webp.codec import WebpCodec, WebpLosslessCodec
from codecframe_webp.settings import WebpLosslessSettings, WebpSettings


class TestWebp(CodecContract):
    codec = WebpCodec()
    settings_samples = (
        WebpSettings(method=0),
        WebpSettings(method=6),
        WebpSettings(segments=1, sns_strength=0),
        WebpSettings(filter_strength=0),
        WebpSettings(filter_type="simple", filter_sharpness=7),
        WebpSettings(filter_strength=0, autofilter=True),
        WebpSettings(passes=10, sharp_yuv=True),
        WebpSettings(preprocessing="dithering", quality=20),
        WebpSettings(partition_limit=100),
    )


class TestWebpLossless(CodecContract):
    codec = WebpLosslessCodec()
    lossless = True
    settings_samples = (
        WebpLosslessSettings(method=0, effort=0),
        WebpLosslessSettings(method=6, effort=30),
    )


class TestWebpNearLossless(CodecContract):
    codec = WebpLosslessCodec()
    settings_samples = (
        WebpLosslessSettings(near_lossless=60),
        WebpLosslessSettings(near_lossless=0),
    )


LOSSY, LOSSLESS = WebpCodec(), WebpLosslessCodec()
IMAGE = natural_image(40, 56)


def saved(picture: PilImage.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("codec", "settings"),
    [
        *((LOSSY, settings) for settings in TestWebp.settings_samples),
        *((LOSSLESS, settings) for settings in TestWebpNearLossless.settings_samples),
    ],
)
def test_a_payload_has_no_header(
    codec: codecframe.Codec[Any], settings: codecframe.Settings
) -> None:
    for seed in range(4):
        data = codec.encode(natural_image(32, 32, seed), settings)
        assert len(codec.strip(data)) <= len(data) - 25


def test_settings_of_libwebp_change_the_bitstream() -> None:
    """All that take the slow path are really handed on."""
    image, seen = natural_image(96, 96, seed=3), {LOSSY.encode(IMAGE, WebpSettings())}
    changes: dict[str, Any] = {
        "segments": 1,
        "sns_strength": 100,
        "filter_strength": 10,
        "filter_sharpness": 7,
        "filter_type": "simple",
        "preprocessing": "dithering",
        "sharp_yuv": True,
        "partition_limit": 100,
    }
    for name, value in changes.items():
        data = LOSSY.encode(image, WebpSettings.from_dict({"quality": 30, name: value}))
        assert data not in seen, name
        seen.add(data)


def test_both_paths_give_the_same_file() -> None:
    from codecframe_webp import encoder

    for quality in (0.5, 30.0, 75.0, 100.0):
        settings = WebpSettings(quality=quality)
        assert encoder.encode(IMAGE, settings.config) == LOSSY.encode(IMAGE, settings)


def test_near_lossless_changes_samples_by_as_much_as_it_says() -> None:
    for near_lossless, most in {100: 0, 80: 1, 60: 2, 40: 4}.items():
        settings = WebpLosslessSettings(near_lossless=near_lossless)
        decoded = LOSSLESS.decode(LOSSLESS.encode(IMAGE, settings))
        assert np.abs(decoded.astype(int) - IMAGE).max() == most


def test_says_how_to_install_what_a_setting_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webp", None)
    assert LOSSY.encode(IMAGE, WebpSettings(quality=20, method=6))
    with pytest.raises(codecframe.DependencyError, match=r"pip install 'codecframe\[webp\]'"):
        LOSSY.encode(IMAGE, WebpSettings(segments=1))


def test_decodes_files_from_elsewhere() -> None:
    rgb = PilImage.fromarray(IMAGE)
    rgba = rgb.copy()
    rgba.putalpha(128)
    white = PilImage.new("RGBA", rgb.size, "white")
    black = PilImage.new("RGB", rgb.size)
    for data in (
        saved(rgb, lossless=True, exif=b"Exif\0\0" + bytes(50), icc_profile=bytes(200)),
        saved(rgb, lossless=True, save_all=True, append_images=[black]),
    ):
        assert np.array_equal(LOSSY.decode(data), IMAGE)
        assert LOSSY.strip(data) == data
        with codecframe.limit_pixels(40 * 56 - 1), pytest.raises(codecframe.LimitError):
            LOSSY.decode(data)
    over_white = np.asarray(PilImage.alpha_composite(white, rgba).convert("RGB"), int)
    decoded = LOSSY.decode(saved(rgba, lossless=True, exact=True))
    assert np.abs(decoded - over_white).max() <= 1


def test_an_ambiguous_payload_is_not_stripped() -> None:
    """A first partition of 82 bytes that begins with IFF looks like a file."""
    data = container.wrap(container.LOSSY, container.with_lossy_header(b"RIFF", 0, (8, 8)))
    assert LOSSY.strip(data) == data
    assert LOSSY.restore(data, WebpSettings(), (8, 8)) == data


def test_a_file_that_breaks_its_promise_is_its_own_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a libwebp that chooses another profile: strip must not lose it."""
    import imagecodecs

    other = LOSSY.encode(IMAGE, WebpSettings(filter_type="simple"))
    monkeypatch.setattr(imagecodecs, "webp_encode", lambda *_, **__: other)
    data = LOSSY.encode(IMAGE, WebpSettings())
    payload = LOSSY.strip(data)
    assert payload == data
    assert LOSSY.restore(payload, WebpSettings(), IMAGE.shape[:2]) == data
    assert np.array_equal(LOSSY.decode(data), LOSSY.decode(other))


def test_refuses_a_side_that_no_file_can_have() -> None:
    with pytest.raises(codecframe.DataError, match="16382"):
        LOSSY.encode(np.zeros((1, 16383, 3), np.uint8), WebpSettings())
    data = LOSSY.encode(np.zeros((16382, 1, 3), np.uint8), WebpSettings(method=0))
    assert LOSSY.decode(data).shape == (16382, 1, 3)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, (1 << 19) - 1])
def test_first_partition_of_any_size(size: int) -> None:
    tag = (size << 5 | 0x10).to_bytes(3, "little")
    for partitions in (b"even\0\0", b"odd\0", b"odd\0\0\0", b"even" + bytes(6), b"\0\0"):
        frame = tag + b"\x9d\x01\x2a" + bytes([7, 0, 5, 0]) + partitions
        payload = container.without_lossy_header(frame)
        assert container.with_lossy_header(payload, 0, (5, 7)) == frame
