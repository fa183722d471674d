"""PNG: the contract, and what is its own."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image as PilImage

import codecframe
from codecframe.testing import CodecContract, natural_image, noise_image
from codecframe_png import container
from codecframe_png.codec import PngCodec
from codecframe_png.settings import PngSettings


class TestPng(CodecContract):
    codec = PngCodec()
    lossless = True
    settings_samples = (
        PngSettings(effort=0, filter="none"),
        PngSettings(effort=9, filter="paeth", strategy="filtered"),
        PngSettings(effort=1, filter="up", strategy="rle"),
        PngSettings(strategy="huffman", filter="average"),
        PngSettings(strategy="fixed", filter="sub"),
    )


CODEC = PngCodec()
IMAGE = natural_image(40, 56)


def saved(mode: str) -> tuple[PilImage.Image, bytes]:
    picture = PilImage.fromarray(IMAGE).convert(mode)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return picture, file.getvalue()


@pytest.mark.parametrize("image", [natural_image(32, 32), noise_image(90, 91), noise_image(1, 2)])
def test_a_payload_has_no_chunks(image: codecframe.Image) -> None:
    data = CODEC.encode(image, PngSettings())
    payload = CODEC.strip(data)
    assert len(payload) <= len(data) - 57
    assert b"IDAT" not in payload


def test_effort_makes_it_smaller() -> None:
    image = natural_image(40, 56) // 32 * 32  # zlib-ng's level 1 stores what has noise
    sizes = [len(CODEC.encode(image, PngSettings(effort=effort))) for effort in (0, 1, 9)]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_decodes_files_from_elsewhere(mode: str) -> None:
    picture, data = saved(mode)
    assert np.array_equal(CODEC.decode(data), np.asarray(picture.convert("RGB")))


def test_depth_is_brought_to_8_bits() -> None:
    deep = IMAGE[:, :, 0].astype(np.uint16) * 257
    file = io.BytesIO()
    PilImage.fromarray(deep).save(file, "PNG")
    assert np.array_equal(CODEC.decode(file.getvalue())[:, :, 2], IMAGE[:, :, 0])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_a_file_from_elsewhere_is_its_own_payload(mode: str) -> None:
    data = saved(mode)[1]
    assert CODEC.strip(data) == data
    assert CODEC.restore(data, PngSettings(), IMAGE.shape[:2]) == data


def test_a_bomb_is_refused_by_its_header() -> None:
    small = container.split(CODEC.encode(IMAGE, PngSettings()))[1]
    for height, width in ((100_000, 100_000), (1, 2**31 - 1)):
        with pytest.raises(codecframe.LimitError):
            CODEC.decode(container.join((height, width), small))
    with pytest.raises(codecframe.DataError, match="impossible size"):
        CODEC.decode(container.join((0, 5), small))


def test_a_damaged_checksum_is_noticed() -> None:
    data = bytearray(CODEC.encode(IMAGE, PngSettings()))
    length = struct.unpack_from(">I", data, 33)[0]
    data[41 + length // 2] ^= 1
    with pytest.raises(codecframe.DataError):
        CODEC.decode(bytes(data))
