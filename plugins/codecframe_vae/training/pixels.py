"""Training of a classifier of pixels: encoder and head without anything between them."""

from __future__ import annotations

import torch
from torch import Tensor

from codecframe_vae.training.data import Labelled, to_tensor
from codecframe_vae.training.loop import Task
from codecframe_vae.training.nets import PixelModel
from codecframe_vae.training.optim import Part, network_parts
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.quality import AT_ONCE, top1
from codecframe_vae.training.recipes import ClassifierRecipe
from codecframe_vae.training.shipped import Shipped, adopt
from codecframe_vae.training.teacher import Teacher


class PixelTask(Task):
    """Cross-entropy."""

    def __init__(
        self,
        model: PixelModel,
        settings: ClassifierRecipe,
        validation: Labelled,
        teacher: Teacher,
    ) -> None:
        self.model: PixelModel = model
        self._settings = settings
        self._validation = validation
        self._teacher = teacher

    def parts(self) -> list[Part]:
        """Kernels, and all else."""
        return network_parts(self.model, self._settings, 0.0)

    def loss(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean over the batch."""
        del progress
        logits = self._logits(images)
        loss = self._teacher.loss(logits, images, targets).mean()
        hits = (logits.argmax(1) == targets.argmax(1)).float()
        return loss, {"loss": float(loss.detach()), "top1": 100 * float(hits.mean())}

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
            self._logits(some.to(self._settings.device))
            for some in to_tensor(self._validation.images).split(AT_ONCE)  # type: ignore[no-untyped-call]
        )
        return {"val top1": top1(logits, self._validation.targets)}

    def _logits(self, images: Tensor) -> Tensor:
        with autocast(self._settings.device):
            logits: Tensor = self.model(images)
        return logits
