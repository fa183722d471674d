"""Resolution as a setting."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image as PilImage

import codecframe
from codecframe.core.scaling import TRAILER, enlarged, reduced
from codecframe.rate import Accounting, counted_size, fit
from codecframe.testing import natural_image, psnr

IMAGE = natural_image(90, 131, seed=4)
NAMES = ["avif", "heic", "htj2k", "jpeg", "jpeg2000", "jpegxl", "png", "webp", "webp-lossless"]


def test_every_pixel_codec_has_it() -> None:
    from codecframe.core import registry

    scalable = [
        codec.name
        for codec in registry.default().codecs.values()
        if issubclass(codec.settings_type, codecframe.ScalableSettings)
    ]
    assert sorted(scalable) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_plain_decoders_show_the_small_image(name: str) -> None:
    codec = codecframe.get_codec(name)
    data = codec.encode(IMAGE, codec.settings_type(scale=0.5))
    assert codec.decode(data).shape == IMAGE.shape
    assert codec.decode(data[:-TRAILER]).shape == (45, 66, 3)
    if name not in ("heic", "htj2k", "jpegxl"):  # Pillow reads the others
        with PilImage.open(io.BytesIO(data)) as plain:
            assert plain.convert("RGB").size == (66, 45)


def test_at_low_rates_less_resolution_is_more() -> None:
    jpeg = codecframe.get_codec("jpeg")
    smooth = enlarged(natural_image(24, 24, seed=1), (96, 96))
    whole = jpeg.encode(smooth, jpeg.settings_type(quality=5))
    half = jpeg.encode(smooth, jpeg.settings_type(quality=30, scale=0.5))
    assert len(jpeg.strip(half)) < len(jpeg.strip(whole))
    assert psnr(smooth, jpeg.decode(half)) > psnr(smooth, jpeg.decode(whole)) + 1


def test_payloads_and_budgets_count_what_is_sent() -> None:
    jpeg = codecframe.get_codec("jpeg")
    settings = jpeg.settings_type(scale=0.25)
    data = jpeg.encode(IMAGE, settings)
    payload = counted_size(jpeg, data, settings, Accounting.PAYLOAD, knob_varies=False)
    assert payload == len(jpeg.strip(data)) < len(data) - TRAILER
    found, _ = fit(jpeg, IMAGE, settings, 150, Accounting.PAYLOAD)
    assert found.size == len(jpeg.strip(found.data)) + 1 <= 150  # and the knob's level
    assert found.settings.scale == 0.25


def test_one_and_many_are_alike() -> None:
    jpeg = codecframe.get_codec("jpeg")
    images = [natural_image(20 + i, 33, seed=i) for i in range(5)]
    for settings in (jpeg.settings_type(scale=0.5), jpeg.settings_type(scale=0.5, deadzone=0.1)):
        datas = jpeg.encode_many(images, settings)
        assert datas == [jpeg.encode(image, settings) for image in images]
        for image, decoded in zip(images, jpeg.decode_many(datas), strict=True):
            assert decoded.shape == image.shape


@pytest.mark.parametrize("height", [0, 65_535])
def test_wrong_sizes_are_refused(height: int) -> None:
    jpeg = codecframe.get_codec("jpeg")
    data = jpeg.encode(IMAGE, jpeg.settings_type(scale=0.5))
    with pytest.raises((codecframe.DataError, codecframe.LimitError)):
        jpeg.decode(data[:-4] + struct.pack(">HH", height, 65_535))
    for cut in range(1, 12):
        with pytest.raises(codecframe.DataError):
            jpeg.decode(data[:-cut])


def test_floats_keep_their_range() -> None:
    values = np.random.default_rng(0).normal(size=(16, 24, 3)).astype(np.float32) * 1e4
    small = reduced(values, 0.5)
    assert small.shape == (8, 12, 3)
    assert small.dtype == np.float32
    assert enlarged(small, (16, 24)).shape == values.shape
    assert np.abs(small.mean() - values.mean()) < 500


def test_a_file_may_end_like_the_beginning_of_a_mark() -> None:
    """As JPEG XL made one of every few hundred images of CIFAR."""
    jpeg = codecframe.get_codec("jpeg")
    data = jpeg.encode(IMAGE, jpeg.settings_type())
    assert np.array_equal(jpeg.decode(data + b"\0\0\0\x10"), jpeg.decode(data))
