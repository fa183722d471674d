from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PilImage
from PIL import ImageCms
from toys import picture

import codecframe
from codecframe.images import image_suffixes, read_image

RGB = picture(1, 12, 20)
TURNS = {1: (0, False), 2: (0, True), 3: (2, False), 4: (2, True), 5: (1, True), 6: (1, False),
         7: (3, True), 8: (3, False)}  # fmt: skip
"""EXIF orientation -> quarter turns anticlockwise after a mirroring that store the picture so."""


def saved(image: PilImage.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(image: np.ndarray, **options: Any) -> bytes:
    return saved(PilImage.fromarray(image), **options)


def test_takes_paths_bytes_and_open_files(tmp_path: Path) -> None:
    data = png(RGB)
    path = tmp_path / "x.png"
    path.write_bytes(data)
    for source in (path, str(path), data, io.BytesIO(data)):
        found = read_image(source)
        assert np.array_equal(found, RGB)
        assert found.dtype == np.uint8 and found.flags["C_CONTIGUOUS"] and found.flags["WRITEABLE"]


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    turns, mirrored = TURNS[orientation]
    stored = np.rot90(RGB[:, ::-1] if mirrored else RGB, turns)
    exif = PilImage.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(PilImage.fromarray(stored.copy()), kind, exif=exif, **options)
    assert np.array_equal(read_image(data), RGB)


def test_damaged_exif_says_nothing() -> None:
    assert np.array_equal(read_image(png(RGB, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")), RGB)


def test_greyscale_is_repeated() -> None:
    grey = RGB[:, :, 0].copy()
    assert np.array_equal(read_image(png(grey)), np.repeat(grey[:, :, None], 3, axis=2))
    bits = saved(PilImage.fromarray(grey > 128))
    assert set(np.unique(read_image(bits))) == {0, 255}


def test_transparency_is_laid_over_white() -> None:
    alpha = np.zeros(RGB.shape[:2], np.uint8)
    alpha[:, 10:] = 255
    expected = RGB.copy()
    expected[:, :10] = 255
    assert np.array_equal(read_image(png(np.dstack([RGB, alpha]))), expected)
    half = np.full((2, 2, 4), (0, 0, 0, 128), np.uint8)
    assert (read_image(png(half)) == 127).all()


def test_palettes_are_looked_up_transparent_ones_too() -> None:
    image = PilImage.new("P", (2, 1))
    image.putpalette([200, 10, 20, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert read_image(saved(image)).tolist() == [[[200, 10, 20], [0, 0, 255]]]
    found = read_image(saved(image, transparency=1))
    assert found.tolist() == [[[200, 10, 20], [255, 255, 255]]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_greyscale_is_scaled_and_rounded(kind: str) -> None:
    deep = np.array([[0, 128, 129, 32767, 65535]], np.uint16)
    found = read_image(saved(PilImage.fromarray(deep), kind))
    assert found[0, :, 0].tolist() == [0, 0, 1, 127, 255]


def test_16_bit_colour_keeps_its_high_bytes() -> None:
    samples = np.array([0x1234, 0xFEDC, 0x00FF], ">u2").tobytes()
    rows = zlib.compress(b"\0" + samples)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(payload))
        + tag
        + payload
        + struct.pack(">I", zlib.crc32(tag + payload))
        for tag, payload in (
            (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)),
            (b"IDAT", rows),
            (b"IEND", b""),
        )
    )
    assert read_image(data).tolist() == [[[0x12, 0xFE, 0x00]]]


def test_floating_point_counts_from_0_to_1() -> None:
    values = np.array([[0.0, 0.5, 1.0, -2.0]], np.float32)
    found = read_image(saved(PilImage.fromarray(values), "TIFF"))
    assert found[0, :, 1].tolist() == [0, 128, 255, 0]
    for wrong in (values * 200, values * np.nan):
        with pytest.raises(codecframe.DataError, match="between 0 and 1"):
            read_image(saved(PilImage.fromarray(wrong), "TIFF"))


def test_cmyk_is_converted() -> None:
    image = PilImage.fromarray(np.full((8, 8, 3), (255, 0, 0), np.uint8)).convert("CMYK")
    assert np.abs(read_image(saved(image, "TIFF")).astype(int) - (255, 0, 0)).max() <= 1


def test_colour_profiles_are_converted_to_srgb() -> None:
    lab = ImageCms.createProfile("LAB")
    image = PilImage.fromarray(np.full((4, 4, 3), (180, 60, 90), np.uint8))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(read_image(saved(image, icc_profile=srgb)), np.asarray(image))
    swapped = bytearray(srgb)  # a profile whose red and blue primaries are exchanged
    red, blue = swapped.index(b"rXYZ"), swapped.index(b"bXYZ")
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    found = read_image(
        saved(image, icc_profile=bytes(swapped).replace(b"s\0R\0G\0B", b"x\0R\0G\0B"))
    )
    assert np.abs(found[0, 0].astype(int) - (90, 60, 180)).max() <= 2
    wrong = ImageCms.ImageCmsProfile(lab).tobytes()  # no profile of an RGB image
    for damaged in (wrong, srgb[:100], b"junk"):
        assert np.array_equal(read_image(saved(image, icc_profile=damaged)), np.asarray(image))


def test_first_frame_of_an_animation() -> None:
    frames = [PilImage.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_image(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("name", ["jpegxl", "jpeg2000", "webp", "avif", "heic"])
def test_reads_what_codecs_write(name: str, tmp_path: Path) -> None:
    from codecframe.core.registry import missing

    codec = codecframe.get_codec(name)
    if missing(codec.requires):
        pytest.skip("its package is not installed")
    data = codec.encode(picture(2, 40, 30), codec.settings_type())
    path = tmp_path / f"x{codec.extension}"
    path.write_bytes(data)
    assert codec.extension in image_suffixes()
    for source in (path, data):
        difference = read_image(source).astype(int) - codec.decode(data)
        assert np.abs(difference).max() <= 3  # another decoder may round otherwise


def test_scripts_for_other_programs_are_not_run() -> None:
    assert not {".eps", ".ps", ".pdf", ".h5"} & image_suffixes()
    assert {".png", ".jpg", ".jpeg", ".tif", ".jxl", ".heic", ".webp"} <= image_suffixes()
    with pytest.raises(codecframe.DataError):
        read_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")


def test_says_which_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "short.png").write_bytes(png(picture(0, 64, 64))[:400])
    (tmp_path / "x.jxl").write_bytes(b"\xff\x0a" + b"\0" * 20)
    for name in ("text.png", "short.png", "x.jxl", "absent.png", "."):
        with pytest.raises(codecframe.DataError) as caught:
            read_image(tmp_path / name)
        assert str(tmp_path) in str(caught.value)
    with pytest.raises(codecframe.DataError, match="stdin"):
        read_image(b"", "stdin")


@given(st.data())
def test_damage_is_never_anything_but_an_error_of_ours(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"]))
    whole = bytearray(saved(PilImage.fromarray(RGB), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_image(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    except codecframe.CodecframeError:
        return
    codecframe.check_image(found)


def bomb(kind: str, side: int) -> bytes:
    """A tiny file that declares side x side pixels."""
    if kind == "png":
        payload = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunk = b"IHDR" + payload
        idat = b"IDAT" + zlib.compress(b"\0" * 9)
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c))
            for c in (chunk, idat)
        )
    if kind == "bmp":
        return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack(
            "<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0
        )  # fmt: skip
    size = (side - 1).to_bytes(3, "little") * 2
    extended = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size
    frame = saved(PilImage.new("RGB", (1, 1)), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", 4 + len(extended + frame)) + b"WEBP" + extended + frame


@pytest.mark.parametrize("kind", ["png", "bmp"])
@pytest.mark.parametrize("side", [14_000, 60_000])
def test_bombs_are_refused_by_their_header(kind: str, side: int) -> None:
    with pytest.raises(codecframe.LimitError, match="limit"):
        read_image(bomb(kind, side), "bomb")


@pytest.mark.parametrize(("kind", "side"), [("png", 13_000), ("bmp", 60_000), ("webp", 16_000)])
def test_bombs_take_no_memory(kind: str, side: int, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(bomb(kind, side))
    program = (
        "import sys, codecframe\n"
        "from codecframe.images import read_image\n"
        "with codecframe.limit_pixels(1_000_000):\n"
        "    try:\n"
        "        read_image(sys.argv[1])\n"
        "    except codecframe.CodecframeError:\n"
        "        status = open('/proc/self/status').read()\n"
        "        print(status.split('VmHWM:')[1].split()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 300_000, f"{done.stdout} KiB"


def test_the_limit_is_adjustable_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    data = png(RGB)
    with codecframe.limit_pixels(12 * 20 - 1), pytest.raises(codecframe.LimitError):
        read_image(data)
    monkeypatch.setattr(PilImage, "MAX_IMAGE_PIXELS", 10)
    with codecframe.limit_pixels(12 * 20):
        assert np.array_equal(read_image(data), RGB)
