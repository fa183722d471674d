"""What every learned codec of the plugin `vae` must do, besides the contract of all codecs."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

import numpy as np
import pytest

import codecframe
from codecframe.testing import CodecContract, damage, natural_image
from codecframe_vae.codec import VaeCodec

HEADER = 15
"""Bytes before the payload."""


class LearnedContract(CodecContract):
    """The contract of all codecs, where a payload does not say how long it was."""

    codec: ClassVar[VaeCodec]

    def test_refuses_truncated_data(self, settings: codecframe.Settings) -> None:
        """Data that is cut within its header is refused."""
        data = self.codec.encode(natural_image(), settings)
        for length in range(HEADER):
            with pytest.raises(codecframe.DataError):
                self.codec.decode_latents(data[:length])

    def test_a_truncated_payload_is_not_taken_for_the_whole(
        self, settings: codecframe.Settings
    ) -> None:
        """What is left may be the payload of another image, but never of this one."""
        data = self.codec.encode(natural_image(), settings)
        whole = self.codec.decode_latents(data).values
        for prefix in damage.truncated(data):
            with suppress(codecframe.DataError):
                left = self.codec.decode_latents(prefix).values
                assert not np.array_equal(left, whole), f"{len(prefix)} bytes would do"
