"""The contract kit: what codecs, heads and tasks must do, as tests that a plugin subclasses.

A plugin's whole test file:

    from codecframe.testing import CodecContract
    from my_plugin import MyCodec

    class TestMyCodec(CodecContract):
        codec = MyCodec()

A codec with a picture layer has a `LayeredContract`. Needs pytest, and nothing else that codecframe
itself does not need.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"codecframe.testing.{part}" for part in ("codec", "head", "layers", "task"))
)

from codecframe.testing.codec import CodecContract  # noqa: E402 - after the registration
from codecframe.testing.head import HeadContract  # noqa: E402
from codecframe.testing.images import (  # noqa: E402
    flat_image,
    natural_image,
    noise_image,
    psnr,
)
from codecframe.testing.layers import LayeredContract  # noqa: E402
from codecframe.testing.task import TaskContract  # noqa: E402

__all__ = [
    "CodecContract",
    "HeadContract",
    "LayeredContract",
    "TaskContract",
    "flat_image",
    "natural_image",
    "noise_image",
    "psnr",
]
