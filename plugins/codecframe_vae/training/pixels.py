"""Training of a classifier of pixels: encoder and head without anything between them."""

from __future__ import annotations

import torch
from torch import Tensor

from codecframe_vae.training.data import Labelled, to_tensor
from codecframe_vae.training.nets import PixelModel
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.quality import AT_ONCE, top1
from codecframe_vae.training.recipes import ClassifierRecipe
from codecframe_vae.training.shipped import Shipped, adopt
from codecframe_vae.training.supervised import SupervisedTask
from codecframe_vae.training.teacher import Teacher


class PixelTask(SupervisedTask):
    """Cross-entropy."""

    def __init__(
        self,
        model: PixelModel,
        settings: ClassifierRecipe,
        validation: Labelled,
        teacher: Teacher,
    ) -> None:
        super().__init__(model, settings, teacher)
        self.model: PixelModel = model
        self._validation = validation

    def logits(self, images: Tensor) -> Tensor:
        """Logits, (n, classes)."""
        with autocast(self._settings.device):
            logits: Tensor = self.model(images)
        return logits

    def adopt(self, classifier: Shipped, images: Tensor) -> None:
        """Start from a classifier that comes with the plugin."""
        adopt(self.model, classifier, images)

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Top-1 in per cent; nothing without images."""
        if not len(self._validation):
            return {}
        self.model.eval()
        logits = (
            self.logits(some.to(self._settings.device))
            for some in to_tensor(self._validation.images).split(AT_ONCE)  # type: ignore[no-untyped-call]
        )
        return {"val top1": top1(logits, self._validation.targets)}
