"""What files may ask for: sizes, scans, tiles; and what is read at all."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any, BinaryIO, cast

import files
import numpy as np
import pytest
from PIL import Image as PilImage
from toys import BrightnessHead

import codecframe
from codecframe.core import bounds
from codecframe.images import read_image
from codecframe.images.source import most_bytes, read_bounded
from codecframe_serving.worker import Job, Worker

RGB = np.tile(np.arange(64, dtype=np.uint8)[None, :, None], (64, 1, 3))

DOORS: dict[str, Any] = {
    "reader": read_image,
    "Pillow": lambda data: read_image(PilImage.open(io.BytesIO(data))),
    "server": lambda data: Worker(BrightnessHead(), [codecframe.get_codec("png")]).picture(
        Job(data), side=1 << 16
    )[0],
}


@pytest.mark.parametrize("door", [*DOORS, "codec"])
def test_jpeg_files_have_a_bounded_number_of_scans(door: str) -> None:
    read = DOORS.get(door) or codecframe.get_codec("jpeg").decode
    assert read(files.scans(bounds.MAX_SCANS)).shape == (64, 64, 3)
    with pytest.raises(codecframe.DataError, match="more than 100 scans"):
        read(files.scans(bounds.MAX_SCANS + 1))


def test_scans_are_counted_up_to_the_end_of_the_image() -> None:
    whole = files.saved(PilImage.fromarray(RGB), "JPEG", progressive=True)
    film = b"\xff\xda" * 500  # what a phone puts behind a photograph, more or less
    assert np.array_equal(read_image(whole + film), read_image(whole))
    hidden = b"\xff\xfe\0\x06\xff\xd9\xff\xd9"  # a comment that looks like the end
    bomb = files.scans(500)
    with pytest.raises(codecframe.DataError, match="scans"):
        read_image(bomb[:2] + hidden + bomb[2:])


@pytest.mark.parametrize("door", [*DOORS, "codec"])
def test_tiles_are_in_proportion_to_pixels_and_all_there(door: str) -> None:
    read = DOORS.get(door) or codecframe.get_codec("jpeg2000").decode
    with pytest.raises(codecframe.LimitError, match="65,535 tiles for 255x257"):
        read(files.tiles(255, 257, 1, 1))
    with pytest.raises(codecframe.DataError, match="lacks 3 of its 4 tiles"):
        read(files.tiles(64, 64, 32, 1))
    assert read(files.tiles(64, 64, 32, 4)).shape == (64, 64, 3)


def test_refusing_tiles_takes_no_memory() -> None:
    data = files.tiles(4080, 4096, 16, 1)
    tracemalloc.start()
    try:
        with pytest.raises(codecframe.LimitError):
            read_image(data)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_tiff_tiles_are_not_much_larger_than_the_image() -> None:
    tile = {322: (4, 1 << 15), 323: (4, 1 << 15)}
    data = files.tiff([bytes(64)], (8, 8), bits=8, more=tile)
    with pytest.raises(codecframe.DataError, match="larger than the image"):
        read_image(data)


def test_files_that_hold_others_are_not_read() -> None:
    icons = b"icns\0\0\0\x40" + bytes(56)
    for data in (icons, b"BLP1" + bytes(200)):
        with pytest.raises(codecframe.DataError):
            read_image(data)


# -- what is read at all ------------------------------------------------------------------


def _fifo(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(path)


def _device(path: Path) -> None:
    if not Path("/dev/zero").exists():
        pytest.skip("this system has no such device")
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_fifo, _device, Path.mkdir], ids=["pipe", "device", "folder"])
def test_only_regular_files_are_read(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    make(path)
    with pytest.raises(codecframe.DataError, match="not a regular file"):
        read_image(path)


def test_a_pipe_hangs_no_command(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    _fifo(path)
    for command in (
        ["decode", str(path), "-o", "o.png"],
        ["encode", str(path), "-c", "jpeg", "-o", "o"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", "from codecframe.cli.main import main; main()", *command],
            capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "not a regular file" in done.stderr


@pytest.mark.parametrize("beginning", [b"", b"RIFF\xff\xff\xff\x7fWEBPVP8 ", b"\xff\xd8\xff\xe0"])
def test_files_larger_than_an_image_can_be_are_not_read(beginning: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with codecframe.limit_pixels(1000):
        with path.open("wb") as file:
            file.write(beginning)
            file.truncate(most_bytes() + 1)
        tracemalloc.start()
        try:
            with pytest.raises(codecframe.LimitError, match="bytes, more than an image"):
                read_image(path)
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()


class Endless(io.RawIOBase):
    """A stream without an end."""

    def read(self, size: int = -1) -> bytes:
        assert size >= 0
        return bytes(size)

    def seekable(self) -> bool:
        return False


def test_streams_are_bounded() -> None:
    with codecframe.limit_pixels(1000), pytest.raises(codecframe.LimitError):
        read_bounded(cast("BinaryIO", Endless()), "stdin")


# -- damage -------------------------------------------------------------------------------


def _damaged(data: bytes, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    made = bytearray(data)
    for _ in range(3):
        made[random.integers(len(made) // 8, len(made))] ^= 1 << int(random.integers(8))
    return bytes(made[: random.integers(len(made) // 2, len(made))] if seed % 4 == 0 else made)


PNG_KINDS = {
    "grey": files.png(RGB[:, :, 0], 8, 0),
    "palette": files.png(RGB[:, :, 0] // 32, 8, 3, (b"PLTE", bytes(range(24)))),
    "grey and alpha": files.png(RGB[:, :, :2].reshape(64, -1), 8, 4),
    "16 bits": files.png(np.repeat(RGB[:, :, 0], 2, 1), 16, 0),
    "RGB": files.png(RGB.reshape(64, -1), 8, 2),
    "key": files.png(RGB.reshape(64, -1), 8, 2, (b"tRNS", bytes(6))),
}
CODECS = ("png", "jpeg", "webp", "webp-lossless", "avif", "jpegxl", "jpeg2000", "htj2k", "heic")


def _lost(decode: Any, whole: bytes) -> int:
    """How many references of None are gone after files were refused."""
    refused = 0
    _ = decode(whole)  # caches are filled
    gc.freeze()  # what other tests left is not gone through
    before = sys.getrefcount(None)
    for seed in range(60):
        try:
            decode(whole[: len(whole) // 2] if seed % 2 else _damaged(whole, seed))
        except codecframe.CodecframeError:
            refused += 1
    gc.collect()
    lost = before - sys.getrefcount(None)
    gc.unfreeze()
    assert refused >= 25
    return lost


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("door", ["codec", "reader"])
def test_refusing_a_file_takes_no_reference_of_none(name: str, door: str) -> None:
    from codecframe.core.registry import missing

    codec = codecframe.get_codec(name)
    if missing(codec.requires):
        pytest.skip("its package is not installed")
    data = codec.encode(RGB, codec.settings_type())
    decode = codec.decode if door == "codec" else read_image
    assert _lost(decode, data) < 10


@pytest.mark.parametrize("kind", PNG_KINDS)
@pytest.mark.parametrize("door", ["codec", "reader"])
def test_refusing_a_png_of_any_kind_takes_none(kind: str, door: str) -> None:
    data = PNG_KINDS[kind]
    decode = codecframe.get_codec("png").decode if door == "codec" else read_image
    assert decode(data).shape[:2] == (64, 64)
    assert _lost(decode, data) < 10


@pytest.mark.parametrize("kind", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_damaged_tiff_files_write_nothing_to_stderr(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = files.saved(PilImage.fromarray(RGB), "TIFF", compression=kind)
    for seed in range(100):
        try:
            read_image(_damaged(whole, seed))
        except codecframe.CodecframeError:
            continue
    assert capfd.readouterr().err == ""
