"""Settings of the PNG codec."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe

FILTERS = {"none": 8, "sub": 16, "up": 32, "average": 64, "paeth": 128, "all": 248}
"""Row filters, as libpng numbers them."""

STRATEGIES = {"default": 0, "filtered": 1, "huffman": 2, "rle": 3, "fixed": 4}
"""Strategies, as zlib numbers them."""


@dataclass(frozen=True, kw_only=True)
class PngSettings(codecframe.ScalableSettings):
    """How to encode a PNG."""

    effort: int = codecframe.option(6, low=0, high=9, help="zlib's level: 0 stores, 9 is smallest")
    filter: str = codecframe.option(
        "all", choices=tuple(FILTERS), help="row filter; all picks one for each row"
    )
    strategy: str = codecframe.option(
        "default", choices=tuple(STRATEGIES), help="what zlib looks for in the rows"
    )
