"""JPEG for codecframe."""

from __future__ import annotations

from typing import Any

import codecframe


@codecframe.hookimpl
def codecframe_codecs() -> list[codecframe.Codec[Any]]:
    """Bring the codec `jpeg`."""
    from codecframe_jpeg.codec import JpegCodec

    return [JpegCodec()]
