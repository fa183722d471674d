"""The trainers `bottleneck` and `fade`."""

from __future__ import annotations

import codecframe
from codecframe_vae.bottleneck.recipe import BottleneckRecipe, FadeRecipe
from codecframe_vae.training.trainers import NEEDS


class BottleneckTrainer(codecframe.Trainer[BottleneckRecipe]):
    """A learned codec in front of a classifier that is trained already."""

    kind = "bottleneck"
    summary = "a learned codec in front of a classifier that you already have"
    suffix = ".safetensors"
    settings_type = BottleneckRecipe
    requires = NEEDS

    def train(self, settings: BottleneckRecipe, run: codecframe.TrainingRun) -> None:
        """Train encoder and adapter, then tables and simple decoder."""
        from codecframe_vae.bottleneck.train import train_bottleneck

        train_bottleneck(settings, run)


class FadeTrainer(codecframe.Trainer[FadeRecipe]):
    """A head that fades, in the codec's model file."""

    kind = "fade"
    summary = "a learned codec's head that fades to the classifier as it was, as the rate rises"
    suffix = ".safetensors"
    settings_type = FadeRecipe
    requires = NEEDS

    def train(self, settings: FadeRecipe, run: codecframe.TrainingRun) -> None:
        """Choose how much each level is given."""
        from codecframe_vae.bottleneck.fading import train_fade

        train_fade(settings, run)
