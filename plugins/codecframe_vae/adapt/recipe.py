"""What recipes of kind `adapted` may set."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe


@dataclass(frozen=True, kw_only=True)
class AdaptRecipe(codecframe.Settings):
    """A classifier that is to say behind a codec what it says of uncompressed images.

    One head serves all rates between the lowest and the highest: each image of a batch is trained
    at a level of its own.
    """

    head: str = codecframe.option("", help="the classifier; one that torch can differentiate")
    codec: str = codecframe.option("", help="the codec, e.g. `jpeg:optimize=true`")
    start: str = codecframe.option(
        "", help="a head that was adapted before, to go on from; none: the classifier as it is"
    )
    rates: tuple[float, ...] = codecframe.option(
        (0.1, 0.2, 0.4, 0.8), low=0.001, help="rates to train for, ascending, in bpp"
    )
    levels: tuple[int, ...] = codecframe.option(
        (),
        low=0,
        high=255,
        help="levels of the codec's knob to train for, ascending; none: those that meet the rates",
    )
    accounting: str = codecframe.option(
        "payload", choices=("payload", "file"), help="bytes that rates count"
    )
    minutes: float = codecframe.option(10.0, low=0.0, help="how long to train")
    seed: int = codecframe.option(0, low=0, help="of order, crops and levels")
    held_out: int = codecframe.option(
        128, low=1, help="images, evenly spread or by whole groups, that choose the checkpoint"
    )
    batch: int = codecframe.option(
        16, low=1, help="images a step; fewer of images so large that memory would not do"
    )
    rate: float = codecframe.option(
        3e-4, low=0.0, help="learning rate at first, relative to the size of each kernel"
    )
    front: float = codecframe.option(
        3.0,
        low=0.1,
        high=30.0,
        help="factor of the first kernel's learning rate, divisor of the last one's: what a codec "
        "leaves is seen first by the first layers",
    )
    clean: float = codecframe.option(
        0.2, low=0.0, high=1.0, help="share of the images that are trained uncompressed"
    )
    features: float = codecframe.option(
        4.0, low=0.0, help="weight of the error of what the last layer sees"
    )
    lost: float = codecframe.option(
        0.02,
        low=0.0,
        high=1.0,
        help="share of the accuracy on uncompressed held-out images that may be lost, if the "
        "classifier's own probabilities are right: for that its weights go back some of the way",
    )
    part: float = codecframe.option(
        0.714, low=0.1, high=1.0, help="side of the first crops, as a share of the final side"
    )
    parts_until: float = codecframe.option(
        0.8, low=0.0, high=1.0, help="share of the time after which crops have the final size"
    )
    least: float = codecframe.option(
        0.5,
        low=0.01,
        high=1.0,
        help="share of an image that a crop of the final size has, at least",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("head", "codec"):
            if not getattr(self, name):
                raise codecframe.SettingsError(name, "", "a name")
        for name in ("rates", "levels"):
            if list(getattr(self, name)) != sorted(getattr(self, name)):
                raise codecframe.SettingsError(name, getattr(self, name), "ascending numbers")
        if not self.rates and not self.levels:
            raise codecframe.SettingsError("rates", (), "one or more, or levels")
