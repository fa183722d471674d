"""PNG for codecframe."""

from __future__ import annotations

from typing import Any

import codecframe


@codecframe.hookimpl
def codecframe_codecs() -> list[codecframe.Codec[Any]]:
    """Bring the codec `png`."""
    from codecframe_png.codec import PngCodec

    return [PngCodec()]
