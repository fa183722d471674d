import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import codecframe
from codecframe.testing import CodecContract, natural_image, psnr
from codecframe_avif.codec import AvifCodec
from codecframe_avif.settings import AvifSettings

CODEC = AvifCodec()
FAST = AvifSettings(speed=9)


class TestAvif(CodecContract):
    codec = CODEC
    settings_samples = (
        FAST,
        AvifSettings(speed=10, subsampling="4:4:4"),
        AvifSettings(speed=9, subsampling="4:0:0"),
        AvifSettings(speed=9, encoder="rav1e"),
        AvifSettings(speed=9, value_range="limited", tune="ssim", tile_rows=1),
    )
    min_psnr = 25.0  # one of the samples is greyscale


def frame_of(data: bytes) -> bytes:
    payload = CODEC.strip(data)
    assert data.endswith(payload)
    return payload


@pytest.mark.parametrize("encoder", ["aom", "rav1e"])
@pytest.mark.parametrize("speed", [4, 9])
@pytest.mark.parametrize("quality", [30, 100])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:0:0"])
def test_only_the_frame_is_left(encoder, speed, quality, subsampling):
    settings = AvifSettings(encoder=encoder, speed=speed, quality=quality, subsampling=subsampling)
    for shape in ((32, 32), (20, 47)):
        data = CODEC.encode(natural_image(*shape), settings)
        assert len(data) - len(frame_of(data)) > 270


def test_an_unexpected_sequence_header_stays_in_the_payload():
    settings = AvifSettings(speed=9, advanced=("enable-cdef=0",))
    image = natural_image(32, 32)
    data = CODEC.encode(image, settings)
    payload = CODEC.strip(data)
    assert payload[0] >> 3 == 1, "starts with the sequence header"
    assert len(data) - len(payload) > 250
    assert CODEC.restore(payload, settings, (32, 32)) == data
    assert psnr(CODEC.decode(data), image) > 25


def test_svt():
    settings = AvifSettings(encoder="svt", speed=10)
    image = natural_image(64, 96)
    data = CODEC.encode(image, settings)
    assert psnr(CODEC.decode(data), image) > 25
    assert CODEC.restore(CODEC.strip(data), settings, (64, 96)) == data


def test_svt_says_what_it_cannot_do():
    with pytest.raises(codecframe.SettingsError, match="4:2:0"):
        AvifSettings(encoder="svt", subsampling="4:4:4")
    with pytest.raises(codecframe.SettingsError, match="4x4"):
        CODEC.encode(natural_image(2, 9), AvifSettings(encoder="svt"))


KEEPS = """
import io
import numpy as np
{before}
from PIL import Image

Image.init()
registries = Image.OPEN, Image.SAVE, Image.SAVE_ALL
before = [registry["AVIF"] for registry in registries]
from codecframe_avif.codec import AvifCodec
from codecframe_avif.settings import AvifSettings

data = AvifCodec().encode(np.zeros((16, 16, 3), np.uint8), AvifSettings(encoder="rav1e", speed=10))
assert AvifCodec().decode(data).max() < 5
assert [registry["AVIF"] for registry in registries] == before
assert isinstance(Image.open(io.BytesIO(data)), before[0][0])
"""


@pytest.mark.parametrize(
    "before",
    ["", "import pillow_avif", "import pillow_avif, importlib\nfrom PIL import AvifImagePlugin\n"
     "importlib.reload(AvifImagePlugin)"],
    ids=["alone", "with-the-plugin", "with-the-plugin-replaced"],
)  # fmt: skip
def test_pillow_keeps_its_own_avif_support(before):
    subprocess.run([sys.executable, "-c", KEEPS.format(before=before)], check=True)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_strict_reader_takes_the_file(subsampling):
    data = CODEC.encode(natural_image(33, 65), FAST.replace(subsampling=subsampling))
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (65, 33)
        assert np.abs(np.array(picture).astype(int) - CODEC.decode(data)).max() <= 2


def test_advanced_options_reach_the_encoder():
    image = natural_image(64, 64)
    plain = CODEC.encode(image, AvifSettings(speed=9))
    assert CODEC.encode(image, AvifSettings(speed=9, tune="psnr")) != plain
    with pytest.raises(codecframe.SettingsError, match="no-such-option"):
        CODEC.encode(image, AvifSettings(advanced=("no-such-option=1",)))
    with pytest.raises(codecframe.SettingsError, match="key=value"):
        AvifSettings(advanced=("sharpness",))


TOOLS = ("qm", "deltaq", "deblocking", "cdef", "edge_filter")


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(("quality", "speed"), [(30, 9), (40, 4), (100, 9)])
def test_without_a_tool_of_aom_the_payload_is_the_frame_alone(tool, quality, speed):
    settings = AvifSettings(quality=quality, speed=speed, **{tool: False})
    image = natural_image(32, 32)
    data = CODEC.encode(image, settings)
    assert len(data) - len(frame_of(data)) > 270
    assert CODEC.restore(frame_of(data), settings, (32, 32)) == data
    assert psnr(CODEC.decode(data), image) > 15


@pytest.mark.parametrize("tool", TOOLS)
def test_each_tool_changes_the_image(tool):
    image = natural_image(96, 96, seed=3)
    settings = AvifSettings(quality=20, speed=6)
    plain = CODEC.encode(image, settings)
    assert CODEC.encode(image, settings.replace(**{tool: False})) != plain


def test_other_encoders_have_tools_of_their_own():
    for encoder in ("svt", "rav1e"):
        with pytest.raises(codecframe.SettingsError, match="unless the encoder is aom"):
            AvifSettings(encoder=encoder, qm=False)


def test_lossless_quality_codes_the_planes_exactly():
    image = natural_image(32, 32)
    decoded = CODEC.decode(
        CODEC.encode(image, AvifSettings(quality=100, subsampling="4:4:4", speed=9))
    )
    assert np.abs(decoded.astype(int) - image).max() <= 2


# -- files of others ----------------------------------------------------------------------


def saved(picture: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="AVIF", quality=90, **options)
    return buffer.getvalue()


def test_orientation_is_honoured():
    image = natural_image(40, 64)
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned clockwise
    decoded = CODEC.decode(saved(Image.fromarray(image), exif=exif))
    assert psnr(decoded, np.rot90(image, -1)) > 25


def test_first_image_of_an_animation():
    image = natural_image(64, 64)
    others = [Image.fromarray(255 - image)] * 3
    data = saved(Image.fromarray(image), save_all=True, append_images=others)
    assert psnr(CODEC.decode(data), image) > 25


def test_alpha_is_laid_over_white():
    image = natural_image(32, 32)
    alpha = np.full((32, 32, 1), 255, np.uint8)
    alpha[:, 16:] = 0
    decoded = CODEC.decode(saved(Image.fromarray(np.concatenate([image, alpha], axis=2))))
    assert psnr(decoded[:, :12], image[:, :12]) > 25
    assert decoded[:, 20:].min() > 250


def test_deep_samples_and_greyscale():
    imagecodecs = pytest.importorskip("imagecodecs")
    image = natural_image(32, 48)
    deep = imagecodecs.avif_encode(image.astype(np.uint16) << 2, 90, bitspersample=10)
    assert psnr(CODEC.decode(deep), image) > 30
    grey = CODEC.decode(saved(Image.fromarray(image[:, :, 1])))
    assert np.array_equal(grey[:, :, 0], grey[:, :, 2])
