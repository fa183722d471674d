"""The WebP codec as a codecframe plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import codecframe


@codecframe.hookimpl
def codecframe_codecs() -> Iterable[codecframe.Codec[Any]]:
    """WebP."""
    from codecframe_webp.codec import WebpCodec

    return [WebpCodec()]
