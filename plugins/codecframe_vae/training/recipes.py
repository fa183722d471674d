"""What training recipes may set."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe
from codecframe_vae.networks.widths import HeadWidths, Widths
from codecframe_vae.settings import LEVELS


@dataclass(frozen=True, kw_only=True)
class ScheduleRecipe(codecframe.Settings):
    """What all trainings have in common."""

    seed: int = codecframe.option(0, low=0, help="of weights, order and augmentation")
    epochs: int = codecframe.option(60, low=1, help="passes over the training images")
    batch: int = codecframe.option(500, low=1, help="images a step")
    held_out: int = codecframe.option(
        5000,
        low=0,
        help="images, evenly spread or by whole groups, that validate and do not train",
    )
    start: str = codecframe.option(
        "",
        help="recipe, trained in the same folder, whose last checkpoint to start from; classifiers "
        "may also start from one that ships, e.g. `cifar10`",
    )
    device: str = codecframe.option("cpu", help="torch device, e.g. cuda")
    flip: bool = codecframe.option(True, help="augmentation: mirror images left to right")
    adam_rate: float = codecframe.option(
        0.001, low=0.0, help="learning rate of all that has none of its own"
    )
    warmup: float = codecframe.option(0.5, low=0.0, help="epochs over which the rates rise")
    cooldown: float = codecframe.option(
        1.0, low=0.0, high=1.0, help="share of the epochs, at the end, over which the rates fall"
    )


@dataclass(frozen=True, kw_only=True)
class LadderRecipe(codecframe.Settings):
    """What makes a codec's levels, their tables and a simple decoder."""

    seed: int = codecframe.option(0, low=0, help="of weights, order and augmentation")
    device: str = codecframe.option("cpu", help="torch device, e.g. cuda")
    latents: int = codecframe.option(16, low=1, high=256, help="channels of the latents")
    groups: int = codecframe.option(4, low=1, help="channel groups of the context model")
    rates: tuple[float, ...] = codecframe.option(
        (0.2, 0.4, 0.57, 0.8, 1.2, 2.0), low=0.01, help="rates to train for, ascending, in bpp"
    )
    lowest: float = codecframe.option(
        0.2, low=0.01, help="rate of the codec's lowest level, in bpp; higher ones are interpolated"
    )
    octave: int = codecframe.option(5, low=1, help="levels from one rate to its double")
    decoder_width: int = codecframe.option(64, low=2, help="channels of the simple decoder")
    decoder_epochs: int = codecframe.option(
        6, low=0, help="epochs of the simple decoder's training; 0: the best linear one"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.rates) < 2 or list(self.rates) != sorted(set(self.rates)):
            raise codecframe.SettingsError("rates", self.rates, "two or more, ascending")
        if self.latents % self.groups:
            raise codecframe.SettingsError("groups", self.groups, "a divisor of latents")


@dataclass(frozen=True, kw_only=True)
class CodedRecipe(ScheduleRecipe, LadderRecipe):
    """What trainings of learned codecs have in common."""

    shares: tuple[float, ...] = codecframe.option(
        (0.08, 0.26, 0.14, 0.34, 0.09, 0.09), low=0.0, help="how often each of them is trained"
    )
    lambdas: tuple[float, ...] = codecframe.option(
        (2e-3, 8e-4, 4e-4, 2e-4, 7e-5, 2e-5),
        formerly="prices",
        low=0.0,
        help="what a bit costs at each of them, in nats, to begin with",
    )
    control: float = codecframe.option(
        0.03, low=0.0, help="how fast lambdas follow the error of their rate"
    )
    balance: float = codecframe.option(
        0.003, low=1e-9, help="the lambda at which a rate weighs half as much in the loss"
    )
    anneal: float = codecframe.option(
        0.35, low=0.0, high=1.0, help="share of the epochs over which rates fall to those wanted"
    )
    anneal_from: float = codecframe.option(2.0, low=1.0, help="factor that rates begin at")
    gain_rate: float = codecframe.option(0.01, low=0.0, help="learning rate of levels' gains")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("shares", "lambdas"):
            if len(getattr(self, name)) != len(self.rates):
                raise codecframe.SettingsError(name, getattr(self, name), "one for each of rates")


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe(ScheduleRecipe):
    """What trainings on labelled images of one size have in common."""

    teacher: str = codecframe.option(
        "",
        help="classifier of clean images that teaches: a recipe, trained in the same folder, or "
        "one that ships; none: labels alone",
    )
    teaching: float = codecframe.option(
        0.5, low=0.0, high=1.0, help="share of the loss that is against the teacher"
    )

    shift: int = codecframe.option(2, low=0, help="augmentation: pixels an image moves, at most")
    cutout: int = codecframe.option(0, low=0, help="augmentation: side of a square that is blanked")
    mix: float = codecframe.option(
        0.0, low=0.0, high=1.0, help="augmentation: share of images that get a box of another"
    )
    smoothing: float = codecframe.option(0.2, low=0.0, high=0.9, help="label smoothing")

    batch: int = codecframe.option(1000, low=1, help="images a step")
    muon_rate: float = codecframe.option(
        0.12, low=0.0, help="learning rate of kernels: relative change a step"
    )
    bias_rate: float = codecframe.option(
        0.05, low=0.0, help="learning rate of normalisations' biases"
    )
    adam_rate: float = codecframe.option(
        0.002, low=0.0, help="learning rate of all that has none of its own"
    )

    head: tuple[int, ...] = codecframe.option(
        (256, 1), low=0, help="head at the latents' resolution: channels, more convolutions"
    )
    top: tuple[int, ...] = codecframe.option(
        (256, 1), low=0, help="head at half of that: channels, more convolutions"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("head", "top"):
            self._check_pair(name, least=1)

    def _check_pair(self, name: str, least: int) -> None:
        """Refuse what is not channels, at least so many, and more convolutions."""
        value = getattr(self, name)
        if len(value) != 2 or value[0] < least:
            raise codecframe.SettingsError(name, value, "[channels, more convolutions]")

    def head_widths(self, latents: int, classes: int, levels: int) -> HeadWidths:
        """Sizes of the head."""
        return HeadWidths(latents, _pair(self.head), _pair(self.top), classes, levels)


@dataclass(frozen=True, kw_only=True)
class EncoderRecipe(TrainingRecipe):
    """What recipes of kind `vae` and `classifier` have in common."""

    full: tuple[int, ...] = codecframe.option(
        (0, 0),
        low=0,
        help="encoder at full resolution: channels, more convolutions; no channels: begins at half",
    )
    latents: int = codecframe.option(16, low=1, high=256, help="channels of the latents")
    stem: tuple[int, ...] = codecframe.option(
        (48, 1), low=0, help="encoder at half resolution: channels, more convolutions"
    )
    encoder: tuple[int, ...] = codecframe.option(
        (96, 0), low=0, help="encoder at a quarter of the resolution: channels, more convolutions"
    )
    separable: bool = codecframe.option(
        False, help="more convolutions at a quarter are depthwise, then pointwise, and residual"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("full", 0), ("stem", 1), ("encoder", 1)):
            self._check_pair(name, least)

    def widths(self, classes: int, levels: int) -> Widths:
        """Sizes of the networks."""
        return Widths(
            **vars(self.head_widths(self.latents, classes, levels)),
            full=_pair(self.full),
            stem=_pair(self.stem),
            encoder=_pair(self.encoder),
            separable=self.separable,
        )


def _pair(value: tuple[int, ...]) -> tuple[int, int]:
    return value[0], value[1]


@dataclass(frozen=True, kw_only=True)
class ClassifierRecipe(EncoderRecipe):
    """A classifier of pixels with the capacity of a learned codec's encoder and head together."""

    codec: str = codecframe.option(
        "",
        help="train on images that this codec decoded, with settings or a preset as in "
        "`jpeg:preset=cifar10`; none: clean",
    )
    bpp: float = codecframe.option(
        0.8,
        low=0.0,
        help="mean payload rate of that codec, bits per pixel, at one knob level for all",
    )


@dataclass(frozen=True, kw_only=True)
class VaeRecipe(EncoderRecipe, CodedRecipe):
    """A learned codec and the head behind it, trained together."""


@dataclass(frozen=True, kw_only=True)
class SmallEncoderRecipe(EncoderRecipe):
    """A small encoder for a learned codec that stays as it is."""

    codec: str = codecframe.option(
        "vae",
        help="the learned codec: its name or its model file, whose latents and head have the sizes "
        "that the recipe says; payloads of it stay valid",
    )
    judged: float = codecframe.option(
        0.4,
        low=0.0,
        high=1.0,
        help="share of the epochs, at the end, in which the head judges, too",
    )
    weight: float = codecframe.option(3.0, low=0.0, help="how much that counts")
    costs: float = codecframe.option(
        2.0,
        low=0.0,
        help="how much it counts that latents cost more than the codec's own encoder's",
    )
    levels: tuple[int, ...] = codecframe.option(
        (),
        low=0,
        high=LEVELS - 1,
        help="levels to train at, each as often as it is named; none: all, equally often",
    )


@dataclass(frozen=True, kw_only=True)
class HeadRecipe(TrainingRecipe):
    """A head of its own behind a learned codec that stays as it is."""

    codec: str = codecframe.option(
        "vae", help="the learned codec: its name or its model file; payloads of it stay valid"
    )
    levels: tuple[int, ...] = codecframe.option(
        (),
        low=0,
        high=LEVELS - 1,
        help="levels to train at, each as often as it is named; none: all, equally often",
    )
