"""What recipes of kind `learn` may set."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe
from codecframe_vae.training.recipes import LadderRecipe


@dataclass(frozen=True, kw_only=True)
class LearnRecipe(LadderRecipe):
    """A codec for a classifier that exists: the closed-form linear codec at one of its layers, then
    minutes of distillation of what follows. Whatever is not said is chosen.
    """

    head: str = codecframe.option("", help="the classifier: a head that has gradients")
    minutes: float = codecframe.option(
        10.0, low=0.0, help="minutes of training, in all runs together; 0: none"
    )
    device_ms: float = codecframe.option(
        5.0, low=0.01, help="milliseconds that the encoder may take for an image, in one thread"
    )
    layer: str = codecframe.option(
        "",
        help="the layer or node to cut at; empty: chosen, and with it latents, groups, rates, "
        "lowest, octave, adapter and block",
    )
    block: int = codecframe.option(
        1, choices=(1, 2, 4), help="squares of the layer on each side of one of the latents"
    )
    latents: int = codecframe.option(32, low=1, high=256, help="channels of the latents")
    rates: tuple[float, ...] = codecframe.option(
        (0.05, 0.1, 0.2, 0.4, 0.8), low=0.001, help="rates to train for, ascending, in bpp"
    )
    lowest: float = codecframe.option(
        0.05, low=0.001, help="rate of the codec's lowest level, in bpp"
    )
    octave: int = codecframe.option(4, low=1, help="levels from one rate to its double")
    adapter: tuple[int, ...] = codecframe.option(
        (96, 2), low=0, help="what is added to features: channels, residual blocks"
    )
    label_share: float = codecframe.option(
        0.3, low=0.0, high=1.0, help="share of labels in the targets, where there are any"
    )
    features: float = codecframe.option(
        0.1, low=0.0, help="weight of the error of the last layer's inputs"
    )
    adam_rate: float = codecframe.option(1e-3, low=0.0, help="learning rate")
    batch: int = codecframe.option(16, low=1, help="images a step")
    views: int = codecframe.option(
        8, low=1, help="crops of each photograph, made when they are first needed, and kept"
    )
    flip: bool = codecframe.option(True, help="augmentation: mirror images left to right")
    least: float = codecframe.option(
        0.35, low=0.01, high=1.0, help="augmentation: share of an image that a crop has, at least"
    )
    measured: int = codecframe.option(
        240, low=8, help="training images that transform and tables are made with, at most"
    )
    held_out: int = codecframe.option(
        0, low=0, help="images that choose and do not train; 0: a fifth, from 8 to 64"
    )
    apart: int = codecframe.option(
        0, low=0, help="images beside these that do not choose either, for claims about the codec"
    )
    decoder_epochs: int = codecframe.option(
        0, low=0, help="epochs of the simple decoder's training; 0: the best linear one"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.head:
            raise codecframe.SettingsError("head", "", "a name")
        if len(self.adapter) != 2 or self.adapter[0] < 1:
            raise codecframe.SettingsError("adapter", self.adapter, "[channels, residual blocks]")

    def held_of(self, count: int) -> int:
        """How many of so many images are held out."""
        return self.held_out or min(64, max(8, count // 5))
