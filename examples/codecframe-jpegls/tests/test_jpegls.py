"""JPEG-LS keeps codecframe's contract for codecs."""

import numpy as np
import pytest

from codecframe.testing import CodecContract, natural_image
from codecframe_jpegls.codec import JpegLsCodec
from codecframe_jpegls.settings import JpegLsSettings


class TestJpegLs(CodecContract):
    codec = JpegLsCodec()


@pytest.mark.parametrize("near", [0, 1, 9, 64])
def test_no_sample_is_off_by_more_than_near(near):
    image = natural_image()
    codec = JpegLsCodec()
    decoded = codec.decode(codec.encode(image, JpegLsSettings(near=near)))
    assert np.abs(decoded.astype(int) - image).max() <= near


def test_payload_is_the_scan_alone():
    codec = JpegLsCodec()
    data = codec.encode(natural_image(), JpegLsSettings())
    assert len(data) - len(codec.strip(data)) == 81
