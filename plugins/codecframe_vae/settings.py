"""Settings of learned codecs."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe

LEVELS = 18
"""Rate levels of every model."""
PICTURES = 16
"""Levels of the picture, in models that have a picture layer."""


@dataclass(frozen=True, kw_only=True)
class VaeSettings(codecframe.Settings):
    """All that can be set once a model is trained."""

    level: int = codecframe.knob(
        10, low=0, high=LEVELS - 1, help="rate level: higher is better and bigger"
    )
    int8: bool = codecframe.option(
        True, help="encode in 8-bit integers, twice as fast, if the model has such an encoder"
    )
    small: bool = codecframe.option(
        False,
        searched=False,
        help="encode by the small encoder, several times as fast and less accurate, of models that "
        "have one; the receiver need not know",
    )


@dataclass(frozen=True, kw_only=True)
class PictureSettings(VaeSettings, codecframe.LayeredSettings):
    """The same, and how much picture goes behind the latents."""

    picture: int | str = codecframe.picture(PICTURES)
