"""AVIF for codecframe."""

from __future__ import annotations

from typing import Any

import codecframe


@codecframe.hookimpl
def codecframe_codecs() -> list[codecframe.Codec[Any]]:
    """Bring the `avif` codec."""
    from codecframe_avif.codec import AvifCodec

    return [AvifCodec()]
