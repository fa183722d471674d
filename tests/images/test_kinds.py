"""Every kind of image with its right pixels, at every door."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import files
import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageCms

import codecframe
from codecframe.core import colour
from codecframe.images import image_suffixes, read_image

RAMP = np.tile(np.arange(16) * 17, (4, 1))
"""Levels of 8 bits, (4, 16)."""
GREY = np.repeat(RAMP.astype(np.uint8)[:, :, None], 3, axis=2)
RGB = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 40)], axis=-1).astype(np.uint8)
SHAPE = RAMP.shape


def packed(levels: np.ndarray, bits: int) -> bytes:
    """Rows of samples of any depth, the highest bit first."""
    rows = []
    for row in levels:
        text = "".join(format(int(v), f"0{bits}b") for v in row)
        rows.append(int(text + "0" * (-len(text) % 8), 2).to_bytes(-(-len(text) // 8), "big"))
    return b"".join(rows)


def samples(dtype: str, top: float) -> bytes:
    return (RAMP / 255 * top).astype(dtype).tobytes()


def planes(levels: np.ndarray, factor: int = 1, dtype: str = "<u2") -> list[bytes]:
    return [(levels[:, :, c].astype(np.uint32) * factor).astype(dtype).tobytes() for c in range(3)]


def interleaved(levels: np.ndarray, factor: int, dtype: str) -> bytes:
    return (levels.astype(np.uint32) * factor).astype(dtype).tobytes()


def over_white(levels: np.ndarray, alpha: int) -> np.ndarray:
    return np.round(255 - (255 - levels.astype(float)) * alpha / 255)


def with_alpha(levels: np.ndarray, alpha: int) -> np.ndarray:
    return np.dstack([levels, np.full(SHAPE, alpha)])


GREYS_8 = [int(v) for v in range(256)]
COLOURS = [c * 17 for c in range(16)], [255 - c * 17 for c in range(16)], [40] * 16
INDICES = packed(RAMP // 17, 8)
PALETTE = [v for channel in COLOURS for v in channel + [0] * 240]

TIFFS: dict[str, tuple[bytes, np.ndarray]] = {
    "1 bit": (files.tiff([packed(RAMP // 128, 1)], SHAPE, bits=1), np.where(GREY > 127, 255, 0)),
    "1 bit, min is white": (
        files.tiff([packed(RAMP // 128, 1)], SHAPE, bits=1, photometric=0),
        np.where(GREY > 127, 0, 255),
    ),
    "4 bits": (files.tiff([packed(RAMP // 17, 4)], SHAPE, bits=4), GREY),
    "8 bits": (files.tiff([samples("u1", 255)], SHAPE, bits=8), GREY),
    "8 bits, min is white": (
        files.tiff([samples("u1", 255)], SHAPE, bits=8, photometric=0), 255 - GREY
    ),
    "12 bits": (files.tiff([packed(RAMP // 17 * 273, 12)], SHAPE, bits=12), GREY),
    "16 bits": (files.tiff([samples("<u2", 65535)], SHAPE, bits=16), GREY),
    "16 bits, min is white": (
        files.tiff([samples("<u2", 65535)], SHAPE, bits=16, photometric=0), 255 - GREY
    ),
    "32 bits": (files.tiff([samples("<u4", 2**32 - 1)], SHAPE, bits=32), GREY),
    "32 bits, signed": (
        files.tiff([samples("<i4", 2**31 - 1)], SHAPE, bits=32, sample_format=2), GREY
    ),
    "16 bits, signed": (
        files.tiff([samples("<i2", 2**15 - 1)], SHAPE, bits=16, sample_format=2), GREY
    ),
    "floating point": (
        files.tiff([samples("<f4", 1)], SHAPE, bits=32, sample_format=3), GREY
    ),
    "floating point, min is white": (
        files.tiff([samples("<f4", 1)], SHAPE, bits=32, sample_format=3, photometric=0), 255 - GREY
    ),
    "RGB": (
        files.tiff([interleaved(RGB, 1, "u1")], SHAPE, bits=8, channels=3, photometric=2), RGB
    ),
    "RGB, planar": (
        files.tiff(planes(RGB, 1, "u1"), SHAPE, bits=8, channels=3, photometric=2), RGB
    ),
    "RGB, 16 bits": (
        files.tiff([interleaved(RGB, 257, "<u2")], SHAPE, bits=16, channels=3, photometric=2), RGB
    ),
    "RGB, 16 bits, planar": (
        files.tiff(planes(RGB, 257), SHAPE, bits=16, channels=3, photometric=2), RGB
    ),
    "RGBA": (
        files.tiff([interleaved(with_alpha(RGB, 128), 1, "u1")], SHAPE, bits=8, channels=4,
                   photometric=2, extra=(2,)),
        over_white(RGB, 128),
    ),
    "RGBA, 16 bits": (
        files.tiff([interleaved(with_alpha(RGB, 128), 257, "<u2")], SHAPE, bits=16, channels=4,
                   photometric=2, extra=(2,)),
        over_white(RGB, 128),
    ),
    "RGBA, multiplied by alpha": (
        files.tiff([interleaved(with_alpha(RGB // 2, 128), 1, "u1")], SHAPE, bits=8, channels=4,
                   photometric=2, extra=(1,)),
        np.round(255 - 128 + (RGB // 2).astype(float)),
    ),
    "palette": (
        files.tiff([INDICES], SHAPE, bits=8, photometric=3, colours=[v * 257 for v in PALETTE]),
        RGB,
    ),
    "palette of 8 bits": (
        files.tiff([INDICES], SHAPE, bits=8, photometric=3, colours=PALETTE), RGB
    ),
    "compressed": (
        files.tiff([samples("u1", 255)], SHAPE, bits=8, compressed=True), GREY
    ),
    "compressed, min is white": (
        files.tiff([samples("u1", 255)], SHAPE, bits=8, compressed=True, photometric=0), 255 - GREY
    ),
    "compressed, 16 bits": (
        files.tiff([samples("<u2", 65535)], SHAPE, bits=16, compressed=True), GREY
    ),
    "compressed, palette of 8 bits": (
        files.tiff([INDICES], SHAPE, bits=8, photometric=3, colours=PALETTE, compressed=True), RGB
    ),
    "compressed, RGB, planar": (
        files.tiff(planes(RGB, 1, "u1"), SHAPE, bits=8, channels=3, photometric=2,
                   compressed=True), RGB
    ),
}  # fmt: skip

KEY = RGB.copy()
KEY[:, 5] = 255
"""RGB with one column white."""
GREY_KEY = GREY.copy()
GREY_KEY[:, 5] = 255


def key(*values: int) -> tuple[bytes, bytes]:
    return b"tRNS", b"".join(value.to_bytes(2, "big") for value in values)


def rows(levels: np.ndarray, dtype: str) -> np.ndarray:
    return levels.astype(dtype).view(np.uint8).reshape(len(levels), -1)


RGB_5 = [int(v) for v in RGB[0, 5]]
PNGS: dict[str, tuple[bytes, np.ndarray]] = {
    "grey, 2 bits, key": (
        files.png(np.frombuffer(packed(RAMP % 4, 2), np.uint8).reshape(4, -1), 2, 0, key(1)),
        np.where((RAMP % 4 == 1)[:, :, None], 255, np.repeat((RAMP % 4 * 85)[:, :, None], 3, 2)),
    ),
    "grey, 8 bits, key": (files.png(rows(RAMP, "u1"), 8, 0, key(85)), GREY_KEY),
    "grey, 16 bits": (files.png(rows(RAMP * 257, ">u2"), 16, 0), GREY),
    "grey, 16 bits, key": (files.png(rows(RAMP * 257, ">u2"), 16, 0, key(85 * 257)), GREY_KEY),
    "grey, 16 bits, key of none": (files.png(rows(RAMP * 257, ">u2"), 16, 0, key(85)), GREY),
    "RGB, key": (files.png(rows(RGB.reshape(4, -1), "u1"), 8, 2, key(*RGB_5)), KEY),
    "RGB, 16 bits, key": (
        files.png(rows(RGB.reshape(4, -1) * 257.0, ">u2"), 16, 2, key(*(v * 257 for v in RGB_5))),
        KEY,
    ),
    "RGB, 16 bits, key of none": (
        files.png(rows(RGB.reshape(4, -1) * 257.0, ">u2"), 16, 2, key(*RGB_5)), RGB
    ),
    "palette": (
        files.png(
            rows(RAMP // 17, "u1"), 8, 3, (b"PLTE", np.array(COLOURS).T.astype(np.uint8).tobytes()),
            (b"tRNS", b"\xff" * 5 + b"\0"),
        ),
        KEY,
    ),
    "grey and alpha": (
        files.png(rows(np.dstack([RAMP, np.full(SHAPE, 128)]).reshape(4, -1), "u1"), 8, 4),
        over_white(GREY, 128),
    ),
    "grey and alpha, 16 bits": (
        files.png(rows(np.dstack([RAMP, np.full(SHAPE, 128)]).reshape(4, -1) * 257, ">u2"), 16, 4),
        over_white(GREY, 128),
    ),
    "transparent everywhere": (
        files.png(rows(with_alpha(RGB, 0).reshape(4, -1), "u1"), 8, 6), np.full_like(RGB, 255)
    ),
}  # fmt: skip

HALF = over_white(RGB, 128)
BITMAPS: dict[str, tuple[bytes, np.ndarray]] = {
    "BMP, alpha all zero": (files.bmp32(with_alpha(RGB, 0).astype(np.uint8)), RGB),
    "BMP, alpha": (files.bmp32(with_alpha(RGB, 128).astype(np.uint8)), HALF),
    "TGA, alpha all zero": (files.tga32(with_alpha(RGB, 0).astype(np.uint8), 8), RGB),
    "TGA, alpha": (files.tga32(with_alpha(RGB, 128).astype(np.uint8), 8), HALF),
    "TGA, no bits of alpha": (files.tga32(with_alpha(RGB, 128).astype(np.uint8), 0), RGB),
    "PPM, 16 bits": (b"P5 16 4 65535\n" + (RAMP * 257).astype(">u2").tobytes(), GREY),
}

KINDS = {
    f"{family}: {name}": kind
    for family, table in (("TIFF", TIFFS), ("PNG", PNGS), ("", BITMAPS))
    for name, kind in table.items()
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_its_right_pixels(name: str) -> None:
    data, wanted = KINDS[name]
    found = read_image(data, name)
    codecframe.check_image(found)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 1


# -- colours ------------------------------------------------------------------------------

P3 = colour.cicp_profile(12, 13)
LINEAR = colour.rgb_profile(colour.SRGB, colour.D65, colour.LINEAR)
ADOBE = colour.rgb_profile(
    ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), colour.D65, 563 / 256, is_gamma=True
)
STORED = (200, 60, 40)
IN_SRGB = {"P3": (217, 42, 23), "linear": (229, 133, 110), "Adobe RGB": (231, 57, 34)}
"""Computed with matrices and curves, without a colour library."""
PROFILES = {"P3": P3, "linear": LINEAR, "Adobe RGB": ADOBE}


def flat(mode: str = "RGB") -> PilImage.Image:
    return PilImage.new("RGB", (64, 64), STORED).convert(mode)


def heic(image: PilImage.Image, **options: Any) -> bytes:
    library = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    profile = options.pop("icc_profile", None)
    picture = library.from_pillow(image)
    if profile:
        picture.info["icc_profile"] = profile
        picture.info["icc_profile_type"] = "prof"
    picture.save(buffer, quality=100, chroma=444, **options)
    return buffer.getvalue()


def jxl_of_jpeg(image: PilImage.Image, **options: Any) -> bytes:
    import imagecodecs

    jpeg = files.saved(image, "JPEG", quality=100, subsampling=0, **options)
    return bytes(imagecodecs.jpegxl_encode_jpeg(jpeg))


WRITERS: dict[str, Callable[[bytes], bytes]] = {
    "PNG": lambda profile: files.saved(flat(), "PNG", icc_profile=profile),
    "PNG, palette": lambda profile: files.saved(flat().quantize(2), "PNG", icc_profile=profile),
    "PNG, alpha": lambda profile: files.saved(flat("RGBA"), "PNG", icc_profile=profile),
    "JPEG": lambda profile: files.saved(flat(), "JPEG", quality=100, icc_profile=profile),
    "TIFF": lambda profile: files.saved(flat(), "TIFF", icc_profile=profile),
    "TIFF, compressed": lambda profile: files.saved(
        flat(), "TIFF", compression="tiff_lzw", icc_profile=profile
    ),
    "WebP": lambda profile: files.saved(flat(), "WEBP", lossless=True, icc_profile=profile),
    "AVIF": lambda profile: files.saved(
        flat(), "AVIF", quality=100, subsampling="4:4:4", icc_profile=profile
    ),
    "HEIC": lambda profile: heic(flat(), icc_profile=profile),
    "JPEG XL of a JPEG": lambda profile: jxl_of_jpeg(flat(), icc_profile=profile),
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("writer", WRITERS)
def test_colours_of_a_profile_come_out_in_srgb(writer: str, profile: str) -> None:
    found = read_image(WRITERS[writer](PROFILES[profile]), writer)
    assert np.abs(found[32, 32].astype(int) - IN_SRGB[profile]).max() <= 4


@pytest.mark.parametrize("writer", WRITERS)
def test_an_srgb_profile_changes_nothing(writer: str) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = read_image(WRITERS[writer](srgb), writer)
    assert np.abs(found[32, 32].astype(int) - STORED).max() <= 2


def test_a_profile_called_srgb_is_taken_by_what_it_says() -> None:
    named = LINEAR.replace(b"codecframe\0", b"sRGB linear"[:11])
    assert b"sRGB" in named
    found = read_image(files.saved(flat(), "PNG", icc_profile=named))
    assert np.abs(found[0, 0].astype(int) - IN_SRGB["linear"]).max() <= 2


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_profiles_are_converted_with_and_without_alpha(mode: str) -> None:
    image = PilImage.new("L", (8, 8), 100).convert(mode)
    found = read_image(files.saved(image, icc_profile=colour.grey_profile(colour.LINEAR)))
    assert np.abs(found[0, 0].astype(int) - 168).max() <= 1  # 0.392 in linear light
    assert (read_image(files.saved(image, icc_profile=P3))[0, 0] == 100).all()  # grey is grey


def test_jpeg_xl_says_its_colours_by_numbers() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    deep = np.full((16, 16, 3), np.array(STORED) * 257, np.uint16)
    data = imagecodecs.jpegxl_encode(deep, lossless=True)  # which calls 16 bits linear
    assert np.abs(read_image(bytes(data))[8, 8].astype(int) - IN_SRGB["linear"]).max() <= 2


def test_heic_says_its_colours_by_numbers() -> None:
    data = heic(flat(), color_primaries=12, transfer_characteristics=13, matrix_coefficients=6)
    assert np.abs(read_image(data)[32, 32].astype(int) - IN_SRGB["P3"]).max() <= 4
    bright = heic(flat(), color_primaries=9, transfer_characteristics=16, matrix_coefficients=9)
    with pytest.raises(codecframe.DataError, match="high dynamic range"):
        read_image(bright)


def test_heic_files_are_read_alike_where_pillow_reads_them() -> None:
    library = pytest.importorskip("pillow_heif")
    data = heic(flat(), color_primaries=12, transfer_characteristics=13, matrix_coefficients=6)
    library.register_heif_opener()
    with PilImage.open(io.BytesIO(data)) as picture:
        assert picture.format == "HEIF"
        assert np.abs(read_image(picture)[32, 32].astype(int) - IN_SRGB["P3"]).max() <= 4


def test_profiles_made_of_nonsense_are_refused() -> None:
    for primaries in (((0.3, 0.0),) * 3, ((0.3, 0.3),) * 3):
        with pytest.raises(ValueError, match="primaries"):
            colour.rgb_profile(primaries, colour.D65, 13)
    for numbers in ((77, 13), (1, 16), (1, 99)):
        with pytest.raises(ValueError):
            colour.cicp_profile(*numbers)


# -- Pillow's images ----------------------------------------------------------------------

LEVELS = RAMP.astype(np.uint8)
MADE: dict[str, tuple[PilImage.Image, np.ndarray]] = {
    "L": (PilImage.fromarray(LEVELS), GREY),
    "I;16": (PilImage.fromarray((RAMP * 257).astype(np.uint16)), GREY),
    "I": (PilImage.fromarray((RAMP * 257).astype(np.int32)), GREY),
    "F": (PilImage.fromarray((RAMP / 255).astype(np.float32)), GREY),
    "1": (PilImage.fromarray(LEVELS > 127), np.where(GREY > 127, 255, 0)),
    "LA": (PilImage.fromarray(with_alpha(LEVELS, 128).astype(np.uint8), "LA"),
           over_white(GREY, 128)),
    "RGB": (PilImage.fromarray(RGB), RGB),
    "RGBA": (PilImage.fromarray(with_alpha(RGB, 128).astype(np.uint8)), HALF),
    "RGBA, transparent": (PilImage.fromarray(with_alpha(RGB, 0).astype(np.uint8)),
                          np.full_like(RGB, 255)),
    "HSV": (PilImage.fromarray(GREY).convert("HSV"), GREY),
}  # fmt: skip


@pytest.mark.parametrize("mode", MADE)
def test_pillow_images_of_every_mode(mode: str) -> None:
    picture, wanted = MADE[mode]
    before = picture.copy()
    found = read_image(picture)
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert picture == before  # nothing of it is changed


@pytest.mark.parametrize(
    "picture",
    [
        PilImage.fromarray(np.full((4, 4), 2.0, np.float32)),
        PilImage.fromarray(np.full((4, 4), np.nan, np.float32)),
        PilImage.fromarray(np.full((4, 4), 70_000, np.int32)),
        PilImage.fromarray(np.full((4, 4), -1, np.int32)),
    ],
    ids=["over 1", "not a number", "over 16 bits", "negative"],
)
def test_pillow_images_of_an_unknown_range_are_refused(picture: PilImage.Image) -> None:
    with pytest.raises(codecframe.DataError):
        read_image(picture)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("loaded", [False, True], ids=["opened", "loaded"])
def test_pillow_images_are_as_their_files_or_refused(name: str, loaded: bool) -> None:
    data, wanted = KINDS[name]
    picture = PilImage.open(io.BytesIO(data))
    if loaded:
        picture.load()
        if name in _KNOWN_ONLY_FROM_FILES:
            return
    try:
        found = read_image(picture)
    except codecframe.DataError:
        assert loaded and "planar" in name
        return
    assert np.abs(found.astype(int) - wanted).max() <= 1


_KNOWN_ONLY_FROM_FILES = {"PNG: grey, 2 bits, key", "PNG: RGB, 16 bits, key",
                          "PNG: RGB, 16 bits, key of none", ": TGA, no bits of alpha"}  # fmt: skip
"""Pillow's loaded images do not tell these from others."""


# -- doors --------------------------------------------------------------------------------


def _folder(data: bytes, folder: Path) -> Any:
    from codecframe.images import open_images

    (folder / "a.png").write_bytes(data)
    return open_images(str(folder))[0].read()


def _hugging_face(entry: Callable[[bytes], Any]) -> Callable[[bytes, Path], Any]:
    from codecframe.integrations.huggingface import Compress

    return lambda data, _: np.asarray(Compress("png")({"image": [entry(data)]})["image"][0])


def _torch(data: bytes, folder: Path) -> Any:
    pytest.importorskip("torch")
    from codecframe.integrations.torch import CodecTransform

    return np.asarray(CodecTransform("png")(PilImage.open(io.BytesIO(data))))


def _server(data: bytes, folder: Path) -> Any:
    from toys import BrightnessHead

    from codecframe_serving.worker import Job, Worker

    worker = Worker(BrightnessHead(), [codecframe.get_codec("png")])
    return worker.picture(Job(data), side=1 << 16)[0]


DOORS: dict[str, Callable[[bytes, Path], Any]] = {
    "bytes": lambda data, _: read_image(data),
    "open file": lambda data, _: read_image(io.BytesIO(data)),
    "Pillow": lambda data, _: read_image(PilImage.open(io.BytesIO(data))),
    "folder, with another suffix": _folder,
    "Hugging Face, bytes": _hugging_face(lambda data: {"bytes": data, "path": None}),
    "Hugging Face, Pillow": _hugging_face(lambda data: PilImage.open(io.BytesIO(data))),
    "torch": _torch,
    "server": _server,
}
SEEN = {
    "deep grey": KINDS["PNG: grey, 16 bits"],
    "key colour": KINDS["PNG: RGB, key"],
    "half transparent": KINDS["PNG: grey and alpha"],
    "deep TIFF": KINDS["TIFF: 12 bits"],
    "floating point": KINDS["TIFF: floating point"],
    "palette": KINDS["TIFF: palette of 8 bits"],
    "no alpha": KINDS[": BMP, alpha all zero"],
    "profile": (files.saved(PilImage.fromarray(RGB), icc_profile=LINEAR), None),
}


@pytest.mark.parametrize("kind", SEEN)
@pytest.mark.parametrize("door", DOORS)
def test_every_door_leads_to_the_same_reader(door: str, kind: str, tmp_path: Path) -> None:
    data, wanted = SEEN[kind]
    found = DOORS[door](data, tmp_path)
    assert np.array_equal(found, read_image(data))
    if wanted is not None:
        assert np.abs(found.astype(int) - wanted).max() <= 1


def test_arrays_are_images_or_refused() -> None:
    assert np.array_equal(read_image(RGB), RGB)
    for wrong in (RGB / 255.0, RGB.astype(np.uint16), RGB[:, :, 0], RGB.astype(np.int16), RGB > 9):
        with pytest.raises(codecframe.DataError, match="expected a uint8 array"):
            read_image(wrong)
    wrong_types: Any = None, 7, {"bytes": b""}
    for wrong in wrong_types:
        with pytest.raises(codecframe.DataError, match="is not an image"):
            read_image(wrong)


@pytest.mark.parametrize("codec", ["heic", "jpegxl", "jpeg", "png", "webp", "avif", "jpeg2000"])
def test_files_are_known_by_their_content(codec: str, tmp_path: Path) -> None:
    from codecframe.core.registry import missing
    from codecframe.pipeline.convert import decode_any

    chosen = codecframe.get_codec(codec)
    if missing(chosen.requires):
        pytest.skip("its package is not installed")
    data = chosen.encode(np.repeat(np.repeat(RGB, 4, 0), 4, 1), chosen.settings_type())
    wanted = read_image(data)
    for suffix in (".HIF", ".heif", ".jpg", ".png", ".jxl", ".JPEG", ".unknown", ""):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(data)
        assert np.array_equal(read_image(path), wanted), suffix
        found, _ = decode_any(path.name, data)
        assert found.extension == chosen.extension, suffix


def test_folders_list_all_spellings() -> None:
    assert {".heic", ".heif", ".hif", ".jpg", ".jpeg", ".jfif", ".jxl", ".jp2"} <= image_suffixes()
