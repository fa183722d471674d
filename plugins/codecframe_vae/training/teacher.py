"""Cross-entropy against labels, and against what a teacher says (Hinton et al., 2015)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import codecframe
from codecframe_vae.training import checkpoint
from codecframe_vae.training.nets import PixelModel
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.recipes import ClassifierRecipe, TrainingRecipe


class Teacher:
    """The classifier of another recipe, which sees the images before any learned codec.

    Args:
        recipe: names the teacher, or none; its share of the loss.
        run: where the teacher's checkpoint lies.

    Raises:
        DataError: if the teacher is not trained yet.
        MismatchError: if it is no classifier, or has other classes.
    """

    def __init__(self, recipe: TrainingRecipe, run: codecframe.TrainingRun) -> None:
        self._recipe = recipe
        self._model: PixelModel | None = None
        if recipe.teacher:
            tensors, facts = checkpoint.of_recipe(recipe.teacher, run)
            chosen = _classifier(recipe.teacher, facts["settings"])
            model = PixelModel(chosen.widths(len(run.classes), levels=1))
            try:
                model.load_state_dict(checkpoint.part(tensors, "model"))
            except RuntimeError as error:
                raise codecframe.MismatchError(f"teacher {recipe.teacher!r}: {error}") from None
            model = model.eval().to(recipe.device)
            self._model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(self, logits: Tensor, images: Tensor, targets: Tensor) -> Tensor:
        """Loss of each image, (n,), for logits and shares of the classes, both (n, classes)."""
        smoothing = self._recipe.smoothing
        hard = functional.cross_entropy(
            logits, targets, label_smoothing=smoothing, reduction="none"
        )
        if self._model is None:
            return hard
        with torch.no_grad(), autocast(self._recipe.device):
            soft = self._model(images).softmax(1)
        share = self._recipe.teaching
        return (1 - share) * hard + share * functional.cross_entropy(logits, soft, reduction="none")


def _classifier(name: str, settings: dict[str, Any]) -> ClassifierRecipe:
    """The settings of a teacher."""
    try:
        return ClassifierRecipe.from_dict(settings)
    except codecframe.SettingsError:
        raise codecframe.MismatchError(f"teacher {name!r} is no classifier") from None
