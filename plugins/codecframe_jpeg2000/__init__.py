"""JPEG 2000 and its high-throughput variant for codecframe."""

from __future__ import annotations

from typing import Any

import codecframe


@codecframe.hookimpl
def codecframe_codecs() -> list[codecframe.Codec[Any]]:
    """Bring the codecs `jpeg2000` and `htj2k`."""
    from codecframe_jpeg2000.codec import HighThroughputCodec, Jpeg2000Codec

    return [Jpeg2000Codec(), HighThroughputCodec()]
