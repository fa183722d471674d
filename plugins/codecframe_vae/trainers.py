"""The trainers `vae`, `classifier`, `head` and `bottleneck`."""

from __future__ import annotations

import codecframe
from codecframe_vae.bottleneck.recipe import BottleneckRecipe
from codecframe_vae.training.recipes import ClassifierRecipe, HeadRecipe, VaeRecipe

_NEEDS = dict.fromkeys(("torch", "onnx", "onnxruntime", "safetensors"), "codecframe[train]")


class VaeTrainer(codecframe.Trainer[VaeRecipe]):
    """A learned codec and the head behind it, in one model file."""

    kind = "vae"
    summary = "a learned codec and the classifier behind it, trained together"
    suffix = ".safetensors"
    settings_type = VaeRecipe
    requires = _NEEDS

    def train(self, settings: VaeRecipe, run: codecframe.TrainingRun) -> None:
        """Train the networks, then the entropy coder's tables, then the simple decoder."""
        from codecframe_vae.training.codec import train_codec

        train_codec(settings, run)


class ClassifierTrainer(codecframe.Trainer[ClassifierRecipe]):
    """A classifier of pixels of the same capacity, clean or behind another codec."""

    kind = "classifier"
    summary = "a classifier of pixels, on clean images or on those that a codec decoded"
    suffix = ".onnx"
    settings_type = ClassifierRecipe
    requires = _NEEDS

    def train(self, settings: ClassifierRecipe, run: codecframe.TrainingRun) -> None:
        """Train it."""
        from codecframe_vae.training.classifier import train_classifier

        train_classifier(settings, run)


class HeadTrainer(codecframe.Trainer[HeadRecipe]):
    """A head of its own behind a learned codec, in the codec's model file."""

    kind = "head"
    summary = "a classifier for the latents of a learned codec that stays as it is"
    suffix = ".safetensors"
    settings_type = HeadRecipe
    requires = _NEEDS

    def train(self, settings: HeadRecipe, run: codecframe.TrainingRun) -> None:
        """Train it."""
        from codecframe_vae.training.head import train_head

        train_head(settings, run)


class BottleneckTrainer(codecframe.Trainer[BottleneckRecipe]):
    """A learned codec in front of a classifier that is trained already."""

    kind = "bottleneck"
    summary = "a learned codec in front of a classifier that you already have"
    suffix = ".safetensors"
    settings_type = BottleneckRecipe
    requires = _NEEDS | {"onnxscript": "codecframe[train]"}

    def train(self, settings: BottleneckRecipe, run: codecframe.TrainingRun) -> None:
        """Train encoder and adapter, then tables and simple decoder."""
        from codecframe_vae.bottleneck.train import train_bottleneck

        train_bottleneck(settings, run)
