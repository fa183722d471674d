"""Settings of the PNG codec."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe

FILTERS = {"none": 8, "sub": 16, "up": 32, "average": 64, "paeth": 128, "all": 248}
STRATEGIES = {"default": 0, "filtered": 1, "huffman": 2, "rle": 3, "fixed": 4}


@dataclass(frozen=True, kw_only=True)
class PngSettings(codecframe.Settings):
    """PNG is lossless: there is no rate knob, only effort."""

    effort: int = codecframe.option(6, low=0, high=9, help="zlib level: slower is smaller")
    filter: str = codecframe.option(
        "all", choices=tuple(FILTERS), help="row filter; `all` picks one for every row"
    )
    strategy: str = codecframe.option(
        "filtered", choices=tuple(STRATEGIES), help="zlib's match strategy"
    )
