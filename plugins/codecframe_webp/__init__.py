"""WebP, lossy and lossless, for codecframe."""

from __future__ import annotations

from typing import Any

import codecframe


@codecframe.hookimpl
def codecframe_codecs() -> list[codecframe.Codec[Any]]:
    """Bring the codecs `webp` and `webp-lossless`."""
    from codecframe_webp.codec import WebpCodec, WebpLosslessCodec

    return [WebpCodec(), WebpLosslessCodec()]
