"""The trainer `picture`."""

from __future__ import annotations

import codecframe
from codecframe_vae.picture.recipe import PictureRecipe
from codecframe_vae.training.trainers import NEEDS


class PictureTrainer(codecframe.Trainer[PictureRecipe]):
    """A picture layer behind a learned codec, in the codec's model file."""

    kind = "picture"
    summary = "a picture layer behind a learned codec that stays as it is"
    suffix = ".safetensors"
    settings_type = PictureRecipe
    requires = NEEDS

    def train(self, settings: PictureRecipe, run: codecframe.TrainingRun) -> None:
        """Fit it."""
        from codecframe_vae.picture.train import train_picture

        train_picture(settings, run)
