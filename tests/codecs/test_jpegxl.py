import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codecframe
from codecframe.testing import CodecContract, natural_image, psnr
from codecframe_jpegxl import header, payload
from codecframe_jpegxl.codec import JpegXlCodec
from codecframe_jpegxl.settings import JpegXlSettings

CODEC = JpegXlCodec()


class TestJpegXl(CodecContract):
    codec = CODEC
    settings_samples = (
        JpegXlSettings(effort=1),
        JpegXlSettings(effort=4, decoding_speed=4),
    )
    min_psnr = 60.0  # the finest level is lossless


def test_the_finest_level_is_lossless():
    image = natural_image(40, 24)
    finest = JpegXlSettings().at_level(255)
    assert np.array_equal(CODEC.decode(CODEC.encode(image, finest)), image)


def test_neighbouring_levels_are_close():
    images = [natural_image(128, 128, seed) for seed in range(4)]
    middle = JpegXlSettings(effort=3).level
    sizes = [
        sum(len(CODEC.encode(image, JpegXlSettings(effort=3).at_level(level))) for image in images)
        for level in (middle - 20, middle)
    ]
    assert 1.0 < (sizes[1] / sizes[0]) ** (1 / 20) < 1.03


@pytest.mark.parametrize("effort", [1, 3, 5, 7])
@pytest.mark.parametrize("distance", [0.5, 2.0, 10.0])
def test_small_payloads_leave_out_what_all_share(effort, distance):
    settings = JpegXlSettings(effort=effort, distance=distance)
    data = CODEC.encode(natural_image(32, 32), settings)
    assert len(data) - len(CODEC.strip(data)) >= 28


def test_a_file_of_another_kind_is_its_own_payload():
    image = natural_image(32, 32)
    for data in (
        imagecodecs.jpegxl_encode(image, distance=2.0, usecontainer=True),
        imagecodecs.jpegxl_encode(image, lossless=True),
        imagecodecs.jpegxl_encode(image[:, :, 0], distance=2.0),
    ):
        assert CODEC.strip(data) == data
        assert CODEC.restore(data, JpegXlSettings(), (32, 32)) == data


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 40_000), st.integers(1, 40_000))
def test_size_is_read_as_it_was_written(height, width):
    assert header.declared(header.image_header((height, width)) + bytes(8))[0] == (height, width)


@pytest.mark.parametrize(
    "shape", [(1, 1), (8, 24), (24, 32), (90, 160), (256, 256), (264, 8), (30, 33), (700, 20)]
)
def test_size_is_written_as_the_library_writes_it(shape):
    data = CODEC.encode(natural_image(*shape), JpegXlSettings(effort=1, distance=8.0))
    assert data.startswith(header.image_header(shape))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100), st.data())
def test_shortening_is_exact_for_any_bytes(tail, data):
    start = data.draw(st.sampled_from([b"", *payload._FRAME_HEADERS]))
    for frames in (start + tail, start + payload._length(len(tail)) + tail if start else tail):
        assert payload.lengthen(payload.shorten(frames)) == frames


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=60))
def test_a_payload_is_refused_or_lengthened(bad):
    try:
        frames = payload.lengthen(bad)
    except ValueError:
        return
    assert payload.lengthen(payload.shorten(frames)) == frames


# -- files of others ----------------------------------------------------------------------


@pytest.mark.parametrize("container", [False, True])
def test_declared_size(container):
    for shape in ((3, 5), (64, 64), (300, 700), (1, 2000)):
        data = imagecodecs.jpegxl_encode(
            natural_image(*shape), effort=1, distance=8.0, usecontainer=container
        )
        assert header.declared(data) == (shape, 8)


def test_greyscale_alpha_and_deep_samples():
    image = natural_image(32, 48)
    grey = CODEC.decode(imagecodecs.jpegxl_encode(image[:, :, 1], distance=0.5))
    assert psnr(grey, np.repeat(image[:, :, 1:2], 3, axis=2)) > 35
    opaque = np.dstack([image, np.full((32, 48), 255, np.uint8)])
    assert psnr(CODEC.decode(imagecodecs.jpegxl_encode(opaque, distance=0.5)), image) > 30
    for bits in (10, 12, 16):
        samples = (image.astype(np.uint32) * ((1 << bits) - 1) // 255).astype(np.uint16)
        data = imagecodecs.jpegxl_encode(samples, distance=0.5, bitspersample=bits)
        # deep samples are tagged as linear light unless said otherwise, so fidelity is modest
        assert psnr(CODEC.decode(data), image) > 25


def test_floating_point_samples_are_refused():
    data = imagecodecs.jpegxl_encode(natural_image().astype(np.float32) / 255, distance=1.0)
    with pytest.raises(codecframe.DataError, match="float32"):
        CODEC.decode(data)


def test_a_distance_between_lossless_and_what_the_library_takes_is_refused():
    with pytest.raises(codecframe.SettingsError, match="distance"):
        JpegXlSettings(distance=0.001)
