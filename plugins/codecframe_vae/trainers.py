"""The trainers: what each makes, of which recipe, and the function that does it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

import codecframe
from codecframe_vae.adapt.recipe import AdaptRecipe
from codecframe_vae.bottleneck.recipe import BottleneckRecipe, FadeRecipe
from codecframe_vae.learn.recipe import LearnRecipe
from codecframe_vae.picture.recipe import PictureRecipe
from codecframe_vae.training.recipes import (
    ClassifierRecipe,
    HeadRecipe,
    SmallEncoderRecipe,
    VaeRecipe,
)

_NEEDS = ("torch", "onnx", "onnxruntime", "onnxscript", "safetensors")


class _Trainer(codecframe.Trainer[Any]):
    """A function of a recipe and a run; its module needs torch, and is imported when it is called.

    Attributes:
        function: `MODULE:NAME` in this package.
    """

    suffix = ".safetensors"
    requires = dict.fromkeys(_NEEDS, "codecframe[train]")
    function: ClassVar[str]

    def train(self, settings: Any, run: codecframe.TrainingRun) -> None:
        module, _, name = self.function.partition(":")
        getattr(import_module(f"codecframe_vae.{module}"), name)(settings, run)


class _Vae(_Trainer):
    kind = "vae"
    summary = "a learned codec and the classifier behind it, trained together"
    settings_type = VaeRecipe
    function = "training.codec:train_codec"


class _SmallEncoder(_Trainer):
    kind = "encoder"
    summary = "a small encoder for a learned codec that stays as it is"
    settings_type = SmallEncoderRecipe
    function = "training.encoder:train_encoder"


class _Classifier(_Trainer):
    kind = "classifier"
    summary = "a classifier of pixels, on clean images or on those that a codec decoded"
    suffix = ".onnx"
    settings_type = ClassifierRecipe
    function = "training.pixels:train_classifier"


class _Head(_Trainer):
    kind = "head"
    summary = "a classifier for the latents of a learned codec that stays as it is"
    settings_type = HeadRecipe
    function = "training.head:train_head"


class _Bottleneck(_Trainer):
    kind = "bottleneck"
    summary = "a learned codec in front of a classifier that you already have"
    settings_type = BottleneckRecipe
    function = "bottleneck.train:train_bottleneck"


class _Fade(_Trainer):
    kind = "fade"
    summary = "a learned codec's head that fades to the classifier as it was, as the rate rises"
    settings_type = FadeRecipe
    function = "bottleneck.fading:train_fade"


class _Learn(_Trainer):
    kind = "learn"
    summary = "a learned codec for a classifier that you have: all is chosen, minutes are enough"
    settings_type = LearnRecipe
    function = "learn.train:train_learn"

    def task_of(self, settings: LearnRecipe) -> codecframe.Task:
        return codecframe.get_head(settings.head).task


class _Adapted(_Trainer):
    kind = "adapted"
    summary = "a classifier that exists, distilled without labels on what a codec leaves of images"
    suffix = ".pt2"
    settings_type = AdaptRecipe
    function = "adapt.train:train_adapted"


class _Picture(_Trainer):
    kind = "picture"
    summary = "a picture layer behind a learned codec that stays as it is"
    settings_type = PictureRecipe
    function = "picture.train:train_picture"


def trainers() -> list[codecframe.Trainer[Any]]:
    """All of them."""
    return [
        _Vae(),
        _SmallEncoder(),
        _Classifier(),
        _Head(),
        _Bottleneck(),
        _Fade(),
        _Learn(),
        _Adapted(),
        _Picture(),
    ]
