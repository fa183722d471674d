"""Settings of the JPEG-LS codec."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe


@dataclass(frozen=True, kw_only=True)
class JpegLsSettings(codecframe.Settings):
    """How to encode a JPEG-LS image."""

    near: int = codecframe.knob(
        4,
        low=0,
        high=64,
        ladder=range(64, -1, -1),  # fewest bytes first: bytes fall as the error grows
        help="largest error of any sample; 0 is lossless",
    )
