"""HEIC for codecframe."""

from __future__ import annotations

from typing import Any

import codecframe


@codecframe.hookimpl
def codecframe_codecs() -> list[codecframe.Codec[Any]]:
    """Bring the `heic` codec."""
    from codecframe_heic.codec import HeicCodec

    return [HeicCodec()]
