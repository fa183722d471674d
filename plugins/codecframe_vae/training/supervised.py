"""What trainings of a classifier alone have in common: cross-entropy, with labels and a teacher."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from codecframe_vae.training.loop import Task
from codecframe_vae.training.optim import Part, network_parts
from codecframe_vae.training.recipes import TrainingRecipe
from codecframe_vae.training.teacher import Teacher


class SupervisedTask(Task):
    """Cross-entropy of what a classifier says of images."""

    def __init__(self, model: nn.Module, settings: TrainingRecipe, teacher: Teacher) -> None:
        self.model = model
        self._settings = settings
        self._teacher = teacher

    def origin(self) -> dict[str, str]:
        """The teacher."""
        return self._teacher.origin()

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Logits, (n, classes), of training images, `uint8`, (n, 3, height, width)."""

    def parts(self) -> list[Part]:
        """Kernels, and all else."""
        return network_parts(self.model, self._settings, 0.0)

    def loss(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean over the batch."""
        del progress
        logits = self.logits(images)
        loss = self._teacher.loss(logits, images, targets).mean()
        hits = (logits.argmax(1) == targets.argmax(1)).float()
        return loss, {"loss": float(loss.detach()), "top1": 100 * float(hits.mean())}
