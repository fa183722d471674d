"""Joint training of encoder, prior and head at all rates: cross-entropy + lambda * bits."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict

import torch
from torch import Tensor, nn

from codecframe_vae.networks.nets import Encoder, Gains, Head
from codecframe_vae.networks.widths import Widths
from codecframe_vae.training.data import Labelled, to_tensor
from codecframe_vae.training.lambdas import Lambdas
from codecframe_vae.training.loop import Task
from codecframe_vae.training.optim import Part, network_parts
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.prior import Prior
from codecframe_vae.training.quality import AT_ONCE
from codecframe_vae.training.recipes import CodedRecipe, VaeRecipe
from codecframe_vae.training.teacher import Teacher


class JointModel(nn.Module):
    """Encoder, gains, prior and head."""

    def __init__(self, widths: Widths, groups: int) -> None:
        super().__init__()
        self.encoder = Encoder(widths)
        self.gains = Gains(widths.latents, widths.levels)
        self.prior = Prior(widths.latents, widths.levels, groups)
        self.head = Head(widths)

    def forward(self, images: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, (n, classes), and bits, (n,), of each image at its level."""
        z, bits = self.prior.coded(self.encoder(images), self.gains, level)
        return self.head(z, self.head.shifts[level]), bits


class CodedTask(Task):
    """Every image of a batch is trained at a level of its own, and lambdas follow the rates.

    Args:
        model: to train.
        settings: of the training.
        validation: images with their classes.
        at_once: images that are validated together.
    """

    def __init__(
        self, model: nn.Module, settings: CodedRecipe, validation: Labelled, at_once: int
    ) -> None:
        self.model = model
        self._device, self._rates, self._at_once = settings.device, settings.rates, at_once
        self._validation, self._pixels = validation, validation.pixels
        self._lambdas = Lambdas(settings, self._pixels)

    def features(self, images: Tensor) -> Tensor:
        """What all levels have in common. By default the images."""
        return images

    @abstractmethod
    def coded(self, features: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """(logits, (n, classes), bits, (n,)) of each image at its level."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Top-1 in per cent and bits per pixel at every level; nothing without images."""
        self.model.eval()
        figures: dict[str, float] = defaultdict(float)
        count = len(self._validation)
        for at in range(0, count, self._at_once):
            part = slice(at, at + self._at_once)
            images = to_tensor(self._validation.images[part]).to(self._device)
            targets = self._validation.targets[part]
            with autocast(self._device):
                features = self.features(images)
                for number, rate in enumerate(self._rates):
                    level = torch.full((len(images),), number, device=self._device)
                    logits, bits = self.coded(features, level)
                    hits = (logits.argmax(1).cpu().numpy() == targets).sum()
                    figures[f"val top1 @{rate:g}"] += 100 * float(hits) / count
                    figures[f"val bpp @{rate:g}"] += float(bits.sum()) / count / self._pixels
        return dict(figures)

    def state(self) -> dict[str, Tensor]:
        """The lambdas."""
        return self._lambdas.state()

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from the lambdas of a checkpoint."""
        self._lambdas.restore(state)


class JointTask(CodedTask):
    """Encoder, prior and head together."""

    def __init__(
        self, model: JointModel, settings: VaeRecipe, validation: Labelled, teacher: Teacher
    ) -> None:
        super().__init__(model, settings, validation, AT_ONCE)
        self._settings = settings
        self._teacher = teacher

    def parts(self) -> list[Part]:
        """Kernels, gains, and all else."""
        return network_parts(self.model, self._settings, self._settings.gain_rate)

    def coded(self, features: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """See `JointModel`."""
        found: tuple[Tensor, Tensor] = self.model(features, level)
        return found

    def loss(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean over the batch of cross-entropy + lambda * bits."""
        level = self._lambdas.levels(len(images)).to(images.device)
        with autocast(self._device):
            logits, bits = self.model(images, level)
        loss = self._lambdas.loss(level, self._teacher.loss(logits, images, targets), bits)
        hits = (logits.argmax(1) == targets.argmax(1)).float()
        figures = {"loss": float(loss.detach()), "top1": 100 * float(hits.mean())}
        figures["bpp"] = float(bits.detach().mean()) / self._pixels
        self._lambdas.follow(level, bits.detach(), progress)
        return loss, figures

    def origin(self) -> dict[str, str]:
        """The teacher."""
        return self._teacher.origin()
