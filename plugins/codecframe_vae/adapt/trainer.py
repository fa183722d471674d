"""The trainer `adapted`."""

from __future__ import annotations

import codecframe
from codecframe_vae.adapt.recipe import AdaptRecipe
from codecframe_vae.training.trainers import NEEDS


class AdaptTrainer(codecframe.Trainer[AdaptRecipe]):
    """A classifier that exists, trained on what a codec leaves of images without labels."""

    kind = "adapted"
    summary = "a classifier that exists, distilled without labels on what a codec leaves of images"
    suffix = ".pt2"
    settings_type = AdaptRecipe
    requires = NEEDS

    def train(self, settings: AdaptRecipe, run: codecframe.TrainingRun) -> None:
        """Train it."""
        from codecframe_vae.adapt.train import train_adapted

        train_adapted(settings, run)
