"""Joint training of encoder, prior and head at all rates: cross-entropy + lambda * bits."""

from __future__ import annotations

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
from codecframe_vae.training.recipes import VaeRecipe
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
        """Logits, (n, classes), and bits, (n,), of each image at its level.

        Latents are really rounded, and the rate is that of the rounded ones; gradients pass the
        rounding as if it were not there.
        """
        y = self.encoder(images)
        with torch.autocast(images.device.type, enabled=False):
            scaled = y * self.gains.up(level)
            q = scaled + (scaled.round() - scaled).detach()
            bits = self.prior.bits(q, level)
            z = q * self.gains.down(level)
        return self.head(z, self.head.shifts[level]), bits


class JointTask(Task):
    """Every image of a batch is trained at a level of its own."""

    def __init__(
        self, model: JointModel, settings: VaeRecipe, validation: Labelled, teacher: Teacher
    ) -> None:
        self.model: JointModel = model
        self._settings = settings
        self._validation = validation
        self._teacher = teacher
        self._pixels = validation.pixels
        self._lambdas = Lambdas(settings, self._pixels)

    def parts(self) -> list[Part]:
        """Kernels, gains, and all else."""
        return network_parts(self.model, self._settings, self._settings.gain_rate)

    def loss(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean over the batch of cross-entropy + lambda * bits."""
        level = self._lambdas.levels(len(images)).to(images.device)
        with autocast(self._settings.device):
            logits, bits = self.model(images, level)
        loss = self._lambdas.loss(level, self._teacher.loss(logits, images, targets), bits)
        hits = (logits.argmax(1) == targets.argmax(1)).float()
        figures = {"loss": float(loss.detach()), "top1": 100 * float(hits.mean())}
        figures["bpp"] = float(bits.detach().mean()) / self._pixels
        self._lambdas.follow(level, bits.detach(), progress)
        return loss, figures

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Top-1 in per cent and bits per pixel at every level; nothing without images."""
        if not len(self._validation):
            return {}
        self.model.eval()
        figures = {}
        for number, rate in enumerate(self._settings.rates):
            hits, bits = 0, 0.0
            for at in range(0, len(self._validation), 500):
                images = to_tensor(self._validation.images[at : at + 500])
                targets = self._validation.targets[at : at + 500]
                level = torch.full((len(images),), number, device=self._settings.device)
                with autocast(self._settings.device):
                    logits, cost = self.model(images.to(self._settings.device), level)
                hits += int((logits.argmax(1).cpu().numpy() == targets).sum())
                bits += float(cost.sum())
            count = len(self._validation)
            figures[f"val top1 @{rate:g}"] = 100 * hits / count
            figures[f"val bpp @{rate:g}"] = bits / count / self._pixels
        return figures

    def origin(self) -> dict[str, str]:
        """The teacher."""
        return self._teacher.origin()

    def state(self) -> dict[str, Tensor]:
        """The lambdas."""
        return self._lambdas.state()

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from the lambdas of a checkpoint."""
        self._lambdas.restore(state)
