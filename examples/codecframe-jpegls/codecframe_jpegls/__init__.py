"""JPEG-LS as a codecframe plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import codecframe


@codecframe.hookimpl
def codecframe_codecs() -> Iterable[codecframe.Codec[Any]]:
    """JPEG-LS."""
    from codecframe_jpegls.codec import JpegLsCodec

    return [JpegLsCodec()]
