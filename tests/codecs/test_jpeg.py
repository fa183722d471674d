"""JPEG: the contract, and what is its own."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_
from hypothesis import strategies as st
from PIL import Image as PilImage
from PIL.JpegImagePlugin import JpegImageFile

import codecframe
from codecframe.testing import CodecContract, natural_image, noise_image, psnr
from codecframe_jpeg import arithmetic, huffman, tables
from codecframe_jpeg.codec import JpegCodec
from codecframe_jpeg.coefficients import quantised
from codecframe_jpeg.scan import symbols_of
from codecframe_jpeg.settings import SUBSAMPLINGS, JpegSettings

FLAT = (tuple([16] * 64),)
STEEP = (tuple(range(8, 72)), tuple(range(20, 84)))
SHARED = tuple(  # any tables that have all symbols
    huffman.made_from(
        [1 << max(0, 12 - symbol % 16 - symbol // 16) for symbol in range(256)], known
    )
    for known in (huffman.DC_SYMBOLS, huffman.DC_SYMBOLS, huffman.AC_SYMBOLS, huffman.AC_SYMBOLS)
)


class TestJpeg(CodecContract):
    codec = JpegCodec()
    settings_samples = (
        JpegSettings(subsampling="4:4:4"),
        JpegSettings(subsampling="4:2:2"),
        JpegSettings(subsampling="4:0:0"),
        JpegSettings(optimize=True),
        JpegSettings(optimize=True, subsampling="4:0:0"),
        JpegSettings(progressive=True),
        JpegSettings(progressive=True, subsampling="4:0:0", restart=2),
        JpegSettings(qtables=FLAT, quality=50),
        JpegSettings(qtables=STEEP, subsampling="4:4:4", progressive=True),
        JpegSettings(smoothing=50),
        JpegSettings(restart=3),
        JpegSettings(restart=1, optimize=True),
        JpegSettings(deadzone=0.3),
        JpegSettings(huffman=SHARED),
        JpegSettings(huffman=SHARED, deadzone=0.2, subsampling="4:0:0"),
        JpegSettings(huffman=SHARED, subsampling="4:2:2", qtables=STEEP),
        JpegSettings(huffman=SHARED, subsampling="4:4:4"),
        JpegSettings(arithmetic=True),
        JpegSettings(arithmetic=True, deadzone=0.2, subsampling="4:0:0"),
        JpegSettings(arithmetic=True, subsampling="4:2:2", qtables=STEEP),
    )


CODEC = JpegCodec()
IMAGE = natural_image(40, 56)


def opened(data: bytes) -> JpegImageFile:
    picture = PilImage.open(io.BytesIO(data))
    assert isinstance(picture, JpegImageFile)
    return picture


def saved(mode: str, **options: Any) -> tuple[PilImage.Image, bytes]:
    """A picture of some mode, and a file of it that is none of ours."""
    picture = PilImage.fromarray(IMAGE).convert(mode)
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return picture, file.getvalue()


@pytest.mark.parametrize("settings", TestJpeg.settings_samples)
def test_a_payload_has_no_header(settings: JpegSettings) -> None:
    data = CODEC.encode(IMAGE, settings)
    payload = CODEC.strip(data)
    # no Huffman tables are in the header of an arithmetic-coded file
    assert len(data) - len(payload) >= (110 if settings.arithmetic else 130)
    assert not payload.startswith(b"\xff\xd8")


def test_a_small_payload_is_tens_of_bytes() -> None:
    images = [natural_image(32, 32, seed) for seed in range(9)]
    payloads = [CODEC.strip(CODEC.encode(image, JpegSettings(quality=5))) for image in images]
    assert np.median([len(payload) for payload in payloads]) < 50


@pytest.mark.parametrize("quality", [1, 20, 49, 50, 51, 90, 100])
def test_quality_scales_tables_as_libjpeg_does(quality: int) -> None:
    ours = opened(CODEC.encode(IMAGE, JpegSettings(quality=quality, progressive=True)))
    theirs = opened(saved("RGB", quality=quality)[1])
    assert ours.quantization == theirs.quantization


def test_quality_50_leaves_own_tables_alone() -> None:
    data = CODEC.encode(IMAGE, JpegSettings(qtables=STEEP, quality=50))
    assert opened(data).quantization == {0: list(STEEP[0]), 1: list(STEEP[1])}
    data = CODEC.encode(IMAGE, JpegSettings(qtables=FLAT, quality=75))
    assert opened(data).quantization == {0: [8] * 64, 1: [8] * 64}


@pytest.mark.parametrize("tables", [[], [[1] * 63], [[1] * 64] * 3, [[0] * 64], [[256] * 64]])
def test_refuses_tables_that_are_none(tables: list[list[int]]) -> None:
    with pytest.raises(codecframe.SettingsError, match="qtables"):
        JpegSettings.from_dict({"qtables": tables})


def test_refuses_to_smooth_what_libjpeg_cannot() -> None:
    with pytest.raises(codecframe.SettingsError, match="smoothing"):
        JpegSettings(smoothing=1, subsampling="4:2:2")


def test_settings_show_in_the_file() -> None:
    assert opened(CODEC.encode(IMAGE, JpegSettings(progressive=True))).info.get("progressive")
    assert opened(CODEC.encode(IMAGE, JpegSettings(subsampling="4:0:0"))).mode == "L"
    assert b"\xff\xd0" in CODEC.encode(IMAGE, JpegSettings(restart=1))
    plain = CODEC.encode(IMAGE, JpegSettings())
    assert len(CODEC.encode(IMAGE, JpegSettings(optimize=True))) < len(plain)
    assert len(CODEC.encode(IMAGE, JpegSettings(smoothing=100))) < len(plain)


@pytest.mark.parametrize(
    "options",
    [{"progressive": True}, {"optimize": True, "qtables": (tuple([1] * 64),)}],
    ids=["progressive", "own tables"],
)
def test_large_noise_fits(options: dict[str, Any]) -> None:
    image = noise_image(500, 500)  # more bytes than Pillow expects of any image
    settings = JpegSettings(quality=100, subsampling="4:4:4", **options)
    data = CODEC.encode(image, settings)
    assert len(data) > 2 * 500 * 500
    assert psnr(CODEC.decode(data), image) > 38
    assert CODEC.restore(CODEC.strip(data), settings, (500, 500)) == data


def test_refuses_a_side_that_no_file_can_have() -> None:
    with pytest.raises(codecframe.DataError, match="65500"):
        CODEC.encode(np.zeros((1, 65501, 3), np.uint8), JpegSettings())
    assert CODEC.decode(CODEC.encode(np.zeros((65500, 1, 3), np.uint8), JpegSettings())).any() == 0


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {}),
        ("CMYK", {}),
        ("RGB", {"exif": b"Exif\0\0" + bytes(200) + b"\xff\xd9\xff\xda", "comment": b"hello"}),
        ("RGB", {"icc_profile": bytes(3000), "progressive": True}),
        ("RGB", {"keep_rgb": True}),
    ],
    ids=["greyscale", "CMYK", "EXIF", "ICC", "RGB"],
)
def test_decodes_files_from_elsewhere(mode: str, options: dict[str, Any]) -> None:
    picture, data = saved(mode, quality=98, subsampling=0, **options)
    assert psnr(CODEC.decode(data), np.asarray(picture.convert("RGB"))) > 35


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_file_from_elsewhere_is_its_own_payload(mode: str) -> None:
    data = saved(mode, comment=b"not ours")[1]
    assert CODEC.strip(data) == data
    assert CODEC.restore(data, JpegSettings(), IMAGE.shape[:2]) == data


def test_a_file_that_breaks_its_promise_is_its_own_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a libjpeg that scales tables in another way: strip must not trust the layout."""
    import imagecodecs

    other = imagecodecs.jpeg8_encode(IMAGE, 60, subsampling="420")
    monkeypatch.setattr(imagecodecs, "jpeg8_encode", lambda *_, **__: other)
    settings = JpegSettings(quality=61)
    data = CODEC.encode(IMAGE, settings)
    payload = CODEC.strip(data)
    assert payload == data
    assert CODEC.restore(payload, settings, IMAGE.shape[:2]) == data
    assert np.array_equal(CODEC.decode(data), imagecodecs.jpeg8_decode(other))


def test_bytes_after_the_end_are_ignored() -> None:
    data = CODEC.encode(IMAGE, JpegSettings())
    assert np.array_equal(CODEC.decode(data + b"trailer"), CODEC.decode(data))


def test_fill_bytes_and_stray_bytes_hide_no_size() -> None:
    """libjpeg skips them, so the size must be found behind them."""
    data = CODEC.encode(IMAGE, JpegSettings())
    strange = data[:2] + b"\xff\xff" + data[2:20] + b"stray\x00" + data[20:]
    with codecframe.limit_pixels(100), pytest.raises(codecframe.LimitError):
        CODEC.decode(strange)


def test_refuses_scans_without_end() -> None:
    """Each takes as long as the image is large, and a few bytes of file."""
    data = CODEC.encode(IMAGE, JpegSettings(progressive=True))
    last = data.rindex(b"\xff\xc4")
    with pytest.raises(codecframe.DataError, match="scans"):
        CODEC.decode(data[:-2] + data[last:-2] * 200 + data[-2:])


def test_depth_is_brought_to_8_bits() -> None:
    import imagecodecs

    deep = imagecodecs.jpeg8_encode(IMAGE.astype(np.uint16) * 16, 95, bitspersample=12)
    assert psnr(CODEC.decode(bytes(deep)), IMAGE) > 30


# -- the plugin's own encoder ---------------------------------------------------------------


def decoders() -> dict[str, Any]:
    import imagecodecs

    return {
        "imagecodecs": imagecodecs.jpeg8_decode,
        "pillow": lambda data: np.asarray(opened(data).convert("RGB")),
    }


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4", "4:0:0"])
@pytest.mark.parametrize("name", decoders())
def test_own_files_look_like_those_of_libjpeg(subsampling: str, name: str) -> None:
    decode = decoders()[name]
    for quality in (10, 60, 95):
        theirs = JpegSettings(quality=quality, subsampling=subsampling)
        ours = theirs.replace(huffman=SHARED)
        image = natural_image(50, 70, quality)
        first, second = (decode(CODEC.encode(image, each)) for each in (theirs, ours))
        assert first.shape == second.shape
        assert np.abs(first.astype(int) - second).mean() < 1.5


@pytest.mark.parametrize("shape", [(32, 32), (16, 7), (8, 1), (48, 33), (40, 40)])
@pytest.mark.parametrize(
    "settings",
    [
        JpegSettings(quality=5),
        JpegSettings(quality=98, subsampling="4:4:4"),
        JpegSettings(subsampling="4:2:2"),
        JpegSettings(qtables=STEEP),
        JpegSettings(restart=2),
        JpegSettings(subsampling="4:0:0"),
        JpegSettings(optimize=True),
    ],
)
def test_small_images_together_are_what_they_are_alone(
    shape: tuple[int, int], settings: JpegSettings
) -> None:
    images = [natural_image(*shape, seed) for seed in range(5)] + [noise_image(*shape)] * 2
    images.insert(3, natural_image(24, 24))
    assert CODEC.encode_many(images, settings) == [CODEC.encode(i, settings) for i in images]


def test_a_tall_stack_stays_below_the_longest_side() -> None:
    image = natural_image(48, 1)
    settings = JpegSettings(subsampling="4:4:4")
    assert CODEC.encode_many([image] * 1500, settings) == [CODEC.encode(image, settings)] * 1500


def test_tables_made_for_images_save_bytes() -> None:
    images = [natural_image(32, 32, seed) for seed in range(40)]
    plain = JpegSettings(quality=20)
    blocks = quantised(np.stack(images), plain)
    known = (huffman.DC_SYMBOLS,) * 2 + (huffman.AC_SYMBOLS,) * 2
    counts = symbols_of(blocks).counts()
    made = tuple(huffman.made_from(c, k) for c, k in zip(counts, known, strict=True))
    sizes = [
        sum(len(CODEC.strip(data)) for data in CODEC.encode_many(images, settings))
        for settings in (plain, plain.replace(huffman=made))
    ]
    assert sizes[1] < 0.97 * sizes[0]


def test_a_deadzone_saves_bytes() -> None:
    image = natural_image(64, 64)
    sizes = [len(CODEC.encode(image, JpegSettings(deadzone=zone))) for zone in (0.01, 0.2, 0.5)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0]


def test_extreme_blocks_have_codes() -> None:
    checks = np.indices((32, 32)).sum(axis=0) % 2 * 255
    image = np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8)
    for settings in (
        JpegSettings(quality=100, huffman=SHARED),
        JpegSettings(quality=100, deadzone=0.1),
    ):
        decoded = CODEC.decode(CODEC.encode(image, settings))
        assert psnr(image, decoded) > 30


@pytest.mark.parametrize("name", decoders())
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    quality=st.integers(1, 100),
    subsampling=st.sampled_from(sorted(SUBSAMPLINGS)),
    contrast=st.sampled_from([0, 3, 40, 127]),
    seed=st.integers(0, 1000),
)
@settings_(max_examples=40, deadline=None)
def test_arithmetic_coding_loses_nothing(
    name: str, height: int, width: int, quality: int, subsampling: str, contrast: int, seed: int
) -> None:
    noise = np.random.default_rng(seed).integers(-contrast, contrast + 1, (height, width, 3))
    image = (128 + noise).astype(np.uint8)
    other = JpegSettings(quality=quality, subsampling=subsampling, huffman=SHARED)
    ours = other.replace(huffman=None, arithmetic=True)
    decode = decoders()[name]
    first, second = (decode(CODEC.encode(image, each)) for each in (other, ours))
    np.testing.assert_array_equal(first, second)


def test_arithmetic_coding_saves_bytes_where_there_are_some() -> None:
    image = natural_image(128, 128)
    sizes = [
        len(CODEC.strip(CODEC.encode(image, each)))
        for each in (JpegSettings(), JpegSettings(arithmetic=True))
    ]
    assert sizes[1] < 0.95 * sizes[0]


def test_loops_are_the_same_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    images = [natural_image(40, 56), noise_image(40, 56)]
    settings = JpegSettings(quality=90, arithmetic=True)
    compiled = CODEC.encode_many(images, settings)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "numba", None)
        assert not importlib.reload(arithmetic).COMPILED
        assert CODEC.encode_many(images, settings) == compiled
    assert importlib.reload(arithmetic).COMPILED


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2"])
def test_blocks_outside_the_image_cost_next_to_nothing(subsampling: str) -> None:
    image = natural_image(72, 72)  # libjpeg's rule is the same
    theirs = JpegSettings(subsampling=subsampling)
    ours = theirs.replace(huffman=tuple(map(tuple, theirs.code_tables)))
    sizes = [len(CODEC.strip(CODEC.encode(image, each))) for each in (theirs, ours)]
    assert abs(sizes[1] - sizes[0]) < 0.01 * sizes[0]


def test_payloads_leave_shared_tables_out() -> None:
    image = natural_image(32, 32)
    settings = JpegSettings(quality=10, huffman=SHARED)
    data = CODEC.encode(image, settings)
    assert len(CODEC.strip(data)) < 150 < 600 < len(data)
    assert opened(data).size == (32, 32)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ((1, 2, 3), "16 counts"),
        (tuple(tables.HUFFMAN[0x00])[:-1], "16 counts"),
        (tuple(tables.HUFFMAN[0x10]), "each of the 12"),
        ((0, 0, 0, 12, *[0] * 12, *range(11), 10), "each of the 12"),
        ((1, 1, 1, 0, 1, 0, 8, *[0] * 9, *range(12)), None),
        ((2, 0, 0, 0, 0, 0, 10, *[0] * 9, *range(12)), "prefix code"),
    ],
)
def test_huffman_tables_are_checked(table: tuple[int, ...], why: str | None) -> None:
    four = (table, *SHARED[1:])
    if why is None:
        assert JpegSettings(huffman=four).own
        return
    with pytest.raises(codecframe.SettingsError, match=why):
        JpegSettings(huffman=four)


@pytest.mark.parametrize("other", ["optimize", "progressive", "smoothing", "restart"])
def test_own_and_libjpegs_settings_do_not_mix(other: str) -> None:
    value = True if other in ("optimize", "progressive") else 1
    with pytest.raises(codecframe.SettingsError, match="deadzone"):
        JpegSettings(deadzone=0.1, **{other: value})
    with pytest.raises(codecframe.SettingsError, match="huffman"):
        JpegSettings(huffman=SHARED, **{other: value})
    with pytest.raises(codecframe.SettingsError, match="arithmetic"):
        JpegSettings(arithmetic=True, **{other: value})


def test_huffman_tables_and_arithmetic_coding_do_not_mix() -> None:
    with pytest.raises(codecframe.SettingsError, match="arithmetic"):
        JpegSettings(arithmetic=True, huffman=SHARED)


def test_made_tables_are_optimal_and_short() -> None:
    steep = [1 << max(0, 40 - 3 * symbol) for symbol in range(256)]
    table = huffman.made_from(steep, huffman.DC_SYMBOLS)
    assert huffman.problem(table, huffman.DC_SYMBOLS) is None
    assert table[16:18] == (0, 1)
    fibonacci = [1, 1]
    while len(fibonacci) < 256:
        fibonacci.append(min(fibonacci[-1] + fibonacci[-2], 10**9))
    assert (
        huffman.problem(huffman.made_from(fibonacci, huffman.AC_SYMBOLS), huffman.AC_SYMBOLS)
        is None
    )
