"""Settings of the JPEG XL codec."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe

_COARSEST, _FINEST = 25.0, 0.1


def _ladder() -> tuple[float, ...]:
    """255 lossy distances in equal ratios (about 1.5 % of the bytes apart), then lossless."""
    ratio = (_FINEST / _COARSEST) ** (1 / 254)
    return (*(round(_COARSEST * ratio**step, 4) for step in range(255)), 0.0)


@dataclass(frozen=True, kw_only=True)
class JpegXlSettings(codecframe.ScalableSettings):
    """How to encode a JPEG XL."""

    distance: float = codecframe.knob(
        1.0,
        low=0.0,
        high=_COARSEST,
        ladder=_ladder(),
        help="Butteraugli distance: 1 is visually lossless, higher is smaller, 0 lossless",
    )
    effort: int = codecframe.option(
        7, low=1, high=10, help="encoder effort: 1 is fastest, 10 slowest"
    )
    decoding_speed: int = codecframe.option(
        0, low=0, high=4, help="above 0, trades bytes for faster decoding"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0.0 < self.distance < 0.01:
            raise codecframe.SettingsError("distance", self.distance, "0 or at least 0.01")
