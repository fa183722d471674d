"""The trainers `vae`, `classifier` and `head`."""

from __future__ import annotations

import codecframe
from codecframe_vae.training.recipes import ClassifierRecipe, HeadRecipe, VaeRecipe

NEEDS = dict.fromkeys(
    ("torch", "onnx", "onnxruntime", "onnxscript", "safetensors"), "codecframe[train]"
)
"""Packages that trainings need, and what installs them."""


class VaeTrainer(codecframe.Trainer[VaeRecipe]):
    """A learned codec and the head behind it, in one model file."""

    kind = "vae"
    summary = "a learned codec and the classifier behind it, trained together"
    suffix = ".safetensors"
    settings_type = VaeRecipe
    requires = NEEDS

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
    requires = NEEDS

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
    requires = NEEDS

    def train(self, settings: HeadRecipe, run: codecframe.TrainingRun) -> None:
        """Train it."""
        from codecframe_vae.training.head import train_head

        train_head(settings, run)
