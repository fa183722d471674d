"""Sizes of the networks."""

from __future__ import annotations

from dataclasses import dataclass

STRIDE = 4
"""Pixels between latents, in both directions."""


@dataclass(frozen=True)
class HeadWidths:
    """Sizes of a head.

    Attributes:
        latents: channels of the latents.
        head: channels at the latents' resolution, and more convolutions there.
        top: channels at half of that, and more convolutions there.
        classes: outputs.
        levels: rate levels that are trained.
    """

    latents: int
    head: tuple[int, int]
    top: tuple[int, int]
    classes: int
    levels: int


@dataclass(frozen=True)
class Widths(HeadWidths):
    """Sizes of encoder and head.

    Attributes:
        full: channels of the encoder at full resolution, and more convolutions there; no channels
            where it begins at half.
        stem: channels at half resolution, and more convolutions there.
        encoder: channels at a quarter of the resolution, and more convolutions there.
        separable: whether the latter are `Separable`.
    """

    full: tuple[int, int]
    stem: tuple[int, int]
    encoder: tuple[int, int]
    separable: bool = False
