"""Cross-entropy against labels, and against what a teacher says (Hinton et al., 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

import codecframe
from codecframe_vae.networks.nets import PixelModel, channels_last
from codecframe_vae.training import checkpoint
from codecframe_vae.training.digests import network_digest
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.recipes import ClassifierRecipe, TrainingRecipe
from codecframe_vae.training.shipped import shipped


class Teacher:
    """The classifier of another recipe, which sees the images before any codec.

    Args:
        recipe: names the teacher, or none; its share of the loss.
        run: where the teacher's checkpoint lies.

    Raises:
        DataError: if the teacher is not trained yet.
        MismatchError: if it is not a classifier, or has other classes.
    """

    def __init__(self, recipe: TrainingRecipe, run: codecframe.TrainingRun) -> None:
        self._recipe = recipe
        self._model = _model(recipe, run) if recipe.teacher else None

    def origin(self) -> dict[str, str]:
        """As `Task.origin`."""
        return {} if self._model is None else {"teacher": network_digest(self._model)}

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


def _model(recipe: TrainingRecipe, run: codecframe.TrainingRun) -> nn.Module:
    """The teacher that was trained in the same folder, or else the one that ships."""
    name = recipe.teacher
    classifier = shipped(name, run)
    if classifier and (known := classifier.head.last.out_features) != len(run.classes):
        raise codecframe.MismatchError(f"teacher {name!r} knows {known} classes")
    model: nn.Module = classifier or _of_recipe(name, run)
    return channels_last(model.eval(), recipe.device)


def _of_recipe(name: str, run: codecframe.TrainingRun) -> PixelModel:
    """The last checkpoint of a recipe."""
    tensors, facts = checkpoint.of_recipe(name, run)
    try:
        recipe = ClassifierRecipe.from_dict(facts["settings"])
    except codecframe.SettingsError:
        raise codecframe.MismatchError(f"teacher {name!r} is not a classifier") from None
    model = PixelModel(recipe.widths(len(run.classes), levels=1))
    try:
        model.load_state_dict(checkpoint.part(tensors, "model"))
    except RuntimeError as error:
        raise codecframe.MismatchError(f"teacher {name!r}: {error}") from None
    return model
