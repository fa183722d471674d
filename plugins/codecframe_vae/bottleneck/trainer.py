"""The trainer `bottleneck`."""

from __future__ import annotations

import codecframe
from codecframe_vae.bottleneck.recipe import BottleneckRecipe
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
