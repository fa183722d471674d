"""The trainer `learn`."""

from __future__ import annotations

import codecframe
from codecframe_vae.learn.recipe import LearnRecipe
from codecframe_vae.training.trainers import NEEDS


class LearnTrainer(codecframe.Trainer[LearnRecipe]):
    """A codec for a classifier that exists, all that it needs chosen."""

    kind = "learn"
    summary = "a learned codec for a classifier that you have: all is chosen, minutes are enough"
    suffix = ".safetensors"
    settings_type = LearnRecipe
    requires = NEEDS

    def train(self, settings: LearnRecipe, run: codecframe.TrainingRun) -> None:
        """The linear codec, then minutes of training."""
        from codecframe_vae.learn.train import train_learn

        train_learn(settings, run)
