"""What recipes of kind `bottleneck` may set."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe
from codecframe_vae.training.recipes import CodedRecipe


@dataclass(frozen=True, kw_only=True)
class BottleneckRecipe(CodedRecipe):
    """A learned codec in front of a classifier that is trained already.

    The classifier's layers up to one of them become the encoder; a new 1x1 convolution makes their
    output the latents. Behind the link an adapter restores that output, and the other layers go on.
    """

    head: str = codecframe.option("", help="the classifier: a head that is a torch module")
    layer: str = codecframe.option("", help="the layer to cut at, as in `named_modules()`")
    watched: tuple[str, ...] = codecframe.option(
        (), help="later layers whose outputs shall be as they were"
    )
    features: float = codecframe.option(
        1.0, low=0.0, help="weight of the error of the cut's and the watched layers' outputs"
    )
    labels: float = codecframe.option(
        0.3, low=0.0, high=1.0, help="share of labels in the targets, where there are any"
    )
    tuned_rate: float = codecframe.option(
        1e-4,
        low=0.0,
        help="learning rate of the classifier's own layers; 0: as they are",
    )
    tuned: str = codecframe.option(
        "all",
        choices=("all", "biases"),
        help="what of the classifier's own layers learns: all, or what is added alone",
    )
    external_weights: bool = codecframe.option(
        False,
        formerly="borrowed",
        help="leave the classifier's weights that are as they were out of the model file: whoever "
        "opens it needs the head",
    )
    views: int = codecframe.option(
        0,
        low=0,
        help="crops of each photograph, made once; their features are kept, and the layers in "
        "front of the cut stay as they are. 0: new crops in each epoch, and all layers learn",
    )
    least: float = codecframe.option(
        0.35, low=0.01, high=1.0, help="augmentation: share of an image that a crop has, at least"
    )
    adapter: tuple[int, ...] = codecframe.option(
        (96, 2), low=0, help="adapter: channels, residual blocks"
    )
    measured: int = codecframe.option(
        1000, low=50, help="training images that tables are made with"
    )
    pictures: int = codecframe.option(
        1000, low=50, help="training images that the simple decoder is made with"
    )
    batch: int = codecframe.option(32, low=1, help="images a step")
    held_out: int = codecframe.option(
        200,
        low=0,
        help="images, evenly spread or by whole groups, that validate and do not train",
    )
    latents: int = codecframe.option(32, low=1, high=256, help="channels of the latents")
    rates: tuple[float, ...] = codecframe.option(
        (0.05, 0.1, 0.2, 0.4, 0.8), low=0.01, help="rates to train for, ascending, in bpp"
    )
    shares: tuple[float, ...] = codecframe.option(
        (0.15, 0.25, 0.25, 0.2, 0.15), low=0.0, help="how often each of them is trained"
    )
    lambdas: tuple[float, ...] = codecframe.option(
        (1e-3, 4e-4, 1.5e-4, 5e-5, 1.5e-5),
        formerly="prices",
        low=0.0,
        help="what a bit costs at each of them, in nats, to begin with",
    )
    lowest: float = codecframe.option(
        0.05,
        low=0.01,
        help="rate of the codec's lowest level, in bpp",
    )
    octave: int = codecframe.option(4, low=1, help="levels from one rate to its double")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("head", "layer"):
            if not getattr(self, name):
                raise codecframe.SettingsError(name, "", "a name")
        if len(self.adapter) != 2 or self.adapter[0] < 1:
            raise codecframe.SettingsError("adapter", self.adapter, "[channels, residual blocks]")


@dataclass(frozen=True, kw_only=True)
class FadeRecipe(codecframe.Settings):
    """A learned codec whose head fades to the classifier as it was, where more is sent."""

    codec: str = codecframe.option(
        "efficientnet-vae",
        help="a codec that a recipe of kind `bottleneck` made, whose classifier learned by its "
        "biases alone: its name or its model file; its payloads stay valid",
    )
    measured: int = codecframe.option(
        192, low=16, help="training images that the linear way is fitted to"
    )
    held_out: int = codecframe.option(
        200, low=1, help="images, evenly spread or by whole groups, that choose"
    )
