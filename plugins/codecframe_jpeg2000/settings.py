"""Settings of the two JPEG 2000 codecs."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe

_LOWEST_PSNR, _PSNR_STEP = 16.0, 0.125
_COARSEST, _FINEST = 1.0, 0.004


@dataclass(frozen=True, kw_only=True)
class Jpeg2000Settings(codecframe.ScalableSettings):
    """How to encode a JPEG 2000."""

    psnr: float = codecframe.knob(
        36.0,
        low=10.0,
        high=60.0,
        ladder=(_LOWEST_PSNR + _PSNR_STEP * rung for rung in range(256)),
        help="fidelity to aim at with each image, in dB",
    )
    decompositions: int = codecframe.option(
        5, low=0, high=7, help="wavelet levels at most; a small image gets fewer"
    )
    reversible: bool = codecframe.option(
        False, help="5/3 integer wavelet in place of 9/7: a little bigger, faster to decode"
    )
    colour_transform: bool = codecframe.option(
        True, help="code luma and chroma; if not, red, green and blue"
    )


@dataclass(frozen=True, kw_only=True)
class HighThroughputSettings(codecframe.ScalableSettings):
    """How to encode a high-throughput JPEG 2000."""

    step: float = codecframe.knob(
        0.03,
        low=0.00001,
        high=_COARSEST,
        ladder=(round(_COARSEST * (_FINEST / _COARSEST) ** (rung / 255), 6) for rung in range(256)),
        help="quantisation step, relative to the sample range: higher is smaller",
    )
    decompositions: int = codecframe.option(
        5, low=1, high=7, help="wavelet levels at most; a small image gets fewer"
    )
    colour_transform: bool = codecframe.option(
        True, help="code luma and chroma; if not, red, green and blue"
    )
