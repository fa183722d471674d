"""JPEG XL for codecframe."""

from __future__ import annotations

from typing import Any

import codecframe


@codecframe.hookimpl
def codecframe_codecs() -> list[codecframe.Codec[Any]]:
    """Bring the `jpegxl` codec."""
    from codecframe_jpegxl.codec import JpegXlCodec

    return [JpegXlCodec()]
