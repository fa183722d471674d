"""What recipes of kind `picture` may set."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe
from codecframe_vae.runtime.picture import SIDE


@dataclass(frozen=True, kw_only=True)
class PictureRecipe(codecframe.Settings):
    """A picture layer behind a learned codec that stays as it is."""

    codec: str = codecframe.option(
        "vae", help="the learned codec: its name or its model file; its payloads stay valid"
    )
    seed: int = codecframe.option(0, low=0, help="of weights and order")
    minutes: float = codecframe.option(
        30.0, low=0.0, help="minutes of the decoder's training; 0: the best linear one"
    )
    held_out: int = codecframe.option(
        5000, low=1, help="images, evenly spread or by whole groups, that choose the weights"
    )
    batch: int = codecframe.option(96, low=1, help="images a step")
    channels: int = codecframe.option(
        96, low=1, high=3 * SIDE * SIDE, help="components of a block that can be sent"
    )
    groups: int = codecframe.option(12, low=1, help="channel groups of the context model")
    coarsest: float = codecframe.option(
        333.0, low=1.0, help="quantisation step of the lowest level, for pixels 0..255"
    )
    octave: float = codecframe.option(5.0, low=0.1, help="levels from one step to its half")
    width: int = codecframe.option(48, low=1, help="channels of the decoder")
    blocks: int = codecframe.option(3, low=0, help="its residual blocks")
    adam_rate: float = codecframe.option(0.002, low=0.0, help="learning rate")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels % self.groups:
            raise codecframe.SettingsError("groups", self.groups, "a divisor of channels")
