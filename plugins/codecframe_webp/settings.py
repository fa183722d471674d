"""Settings of the two WebP codecs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import codecframe

_FILTER_TYPES = {"simple": 0, "strong": 1}
_PREPROCESSING = {"none": 0, "segment-smooth": 1, "dithering": 2}


@dataclass(frozen=True, kw_only=True)
class WebpSettings(codecframe.ScalableSettings):
    """How to encode a lossy WebP. All but `quality` and `method` need the package `webp`."""

    quality: float = codecframe.knob(
        75.0,
        low=0.0,
        high=100.0,
        ladder=(step / 2 for step in range(201)),
        help="from 0, smallest, to 100",
    )
    method: int = codecframe.option(
        4, low=0, high=6, help="effort: 0 is fastest, 6 smallest at equal fidelity"
    )
    segments: int = codecframe.option(
        4, low=1, high=4, help="parts of the image that may differ in quantisation"
    )
    sns_strength: int = codecframe.option(
        50, low=0, high=100, help="spatial noise shaping: moves bits to where they show"
    )
    filter_strength: int = codecframe.option(
        60, low=0, high=100, help="deblocking in the decoder; 0 switches it off"
    )
    filter_sharpness: int = codecframe.option(
        0, low=0, high=7, help="from 0, sharpest, to 7: spares edges from deblocking"
    )
    filter_type: str = codecframe.option(
        "strong", choices=tuple(_FILTER_TYPES), help="deblocking of luma alone, or of chroma too"
    )
    autofilter: bool = codecframe.option(
        False, help="search the best filter strength for each segment"
    )
    passes: int = codecframe.option(1, low=1, high=10, help="passes of entropy analysis")
    preprocessing: str = codecframe.option(
        "none", choices=tuple(_PREPROCESSING), help="what is done to the image before encoding"
    )
    sharp_yuv: bool = codecframe.option(
        False, help="slower conversion to 4:2:0 that keeps coloured edges sharp"
    )
    partition_limit: int = codecframe.option(
        0,
        low=0,
        high=100,
        searched=False,
        help="saves on block modes, for images too large for the format's first partition",
    )

    @cached_property
    def fast(self) -> bool:
        """Whether imagecodecs can do all that is asked for."""
        plain = type(self)(quality=self.quality, method=self.method)
        return self == plain

    @cached_property
    def config(self) -> dict[str, Any]:
        """The fields of libwebp's `WebPConfig`."""
        return {
            "lossless": 0,
            "quality": self.quality,
            "method": self.method,
            "segments": self.segments,
            "sns_strength": self.sns_strength,
            "filter_strength": self.filter_strength,
            "filter_sharpness": self.filter_sharpness,
            "filter_type": _FILTER_TYPES[self.filter_type],
            "autofilter": int(self.autofilter),
            "pass": self.passes,
            "preprocessing": _PREPROCESSING[self.preprocessing],
            "use_sharp_yuv": int(self.sharp_yuv),
            "partition_limit": self.partition_limit,
        }

    @cached_property
    def profile(self) -> int:
        """The bitstream's profile: which deblocking filter the decoder needs."""
        if not (self.filter_strength or self.autofilter):
            return 2
        return 0 if self.filter_type == "strong" else 1


@dataclass(frozen=True, kw_only=True)
class WebpLosslessSettings(codecframe.ScalableSettings):
    """How to encode a lossless WebP. `near_lossless` needs the package `webp`."""

    method: int = codecframe.option(4, low=0, high=6, help="effort: 0 is fastest, 6 smallest")
    effort: int = codecframe.option(
        75, low=0, high=100, help="effort within the method: what libwebp calls quality here"
    )
    near_lossless: int = codecframe.option(
        100, low=0, high=100, help="below 100, samples may change: by 1 at 80, 2 at 60, 4 at 40"
    )

    @cached_property
    def fast(self) -> bool:
        """Whether imagecodecs can do all that is asked for."""
        return self.near_lossless == 100

    @cached_property
    def config(self) -> dict[str, Any]:
        """The fields of libwebp's `WebPConfig`."""
        return {
            "lossless": 1,
            "quality": float(self.effort),
            "method": self.method,
            "near_lossless": self.near_lossless,
        }
