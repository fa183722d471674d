"""The networks around a cut: encoder, adapter, and the classifier's other layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

import codecframe
from codecframe.preprocess import Preprocess
from codecframe_vae.bottleneck.recipe import BottleneckRecipe
from codecframe_vae.training.nets import Gains
from codecframe_vae.training.prior import Prior


class Normalise(nn.Module):
    """Images 0..255, (n, 3, height, width), RGB, to what a classifier takes."""

    factor: Tensor
    offset: Tensor

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        if preprocess.layout != "nchw" or preprocess.dtype != "float32":
            raise codecframe.MismatchError("the classifier must take float32 of (n, 3, h, w)")
        self._is_bgr = preprocess.channels == "bgr"
        for name, values in zip(("factor", "offset"), preprocess.normalisation, strict=True):
            self.register_buffer(name, torch.from_numpy(values)[None, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """`float32`, same shape."""
        x = images.float()
        if self._is_bgr:
            x = x.flip(1)
        return x * self.factor - self.offset


class Encoder(nn.Module):
    """Images to real latents: the classifier's first layers, and a projection.

    Args:
        normalise: what the classifier does to images first.
        front: its layers up to the cut.
        features: what they make of some images, (n, channels, height, width).
        latents: channels of the latents.
    """

    def __init__(
        self, normalise: Normalise, front: nn.Module, features: Tensor, latents: int
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.front = front
        self.project = nn.Conv2d(features.shape[1], latents, 1)
        self._start_from(features)

    def forward(self, images: Tensor) -> Tensor:
        """`float32` latents."""
        return self.project(self.front(self.normalise(images))).float()  # type: ignore[no-any-return]

    @torch.no_grad()
    def _start_from(self, features: Tensor) -> None:
        """Latents are principal components, the first of unit variance: what varies less costs
        less, as reverse water-filling wants it.
        """
        flat = features.transpose(0, 1).flatten(1)
        mean = flat.mean(1, keepdim=True)
        values, vectors = torch.linalg.eigh((flat - mean) @ (flat - mean).T / flat.shape[1])
        count = min(self.project.out_channels, len(values))
        basis = vectors.flip(1)[:, :count].T / values[-1].clamp_min(1e-12).sqrt()
        self.project.weight.zero_()
        self.project.weight[:count, :, 0, 0] = basis
        self.project.bias.zero_()  # type: ignore[union-attr]
        self.project.bias[:count] = -(basis @ mean)[:, 0]  # type: ignore[index]


class Adapter(nn.Module):
    """Dequantised latents to the features at the cut; a level shifts the first layer's outputs.

    Args:
        encoder: whose projection it undoes, to begin with.
        levels: rate levels that are trained.
        width: channels.
        blocks: residual blocks.
    """

    def __init__(self, encoder: Encoder, levels: int, width: int, blocks: int) -> None:
        super().__init__()
        project = encoder.project
        latents, features = project.out_channels, project.in_channels
        self.first = nn.Conv2d(latents, width, 3, padding=1)
        self.shifts = nn.Parameter(torch.zeros(levels, width))
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(blocks)
        )
        self.last = nn.Conv2d(width, features, 3, padding=1)
        self.linear = nn.Conv2d(latents, features, 1)
        with torch.no_grad():
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
            inverse = torch.linalg.pinv(project.weight[:, :, 0, 0])
            self.linear.weight[:, :, 0, 0] = inverse
            self.linear.bias.copy_(-inverse @ project.bias)  # type: ignore[union-attr]

    def forward(self, latents: Tensor, shift: Tensor) -> Tensor:
        """Features; `shift` is (n, width)."""
        x = self.first(latents)
        x = functional.relu(x + shift[:, :, None, None].to(x.dtype))
        for block in self.body:
            x = x + block(x)
        restored: Tensor = self.linear(latents) + self.last(functional.relu(x))
        return restored


class Bottleneck(nn.Module):
    """Encoder, gains, prior, adapter, and the classifier's layers behind the cut.

    Args:
        normalise: what the classifier does to images first.
        front: its layers up to the cut.
        tail: its other layers: features to (scores, outputs of watched layers...).
        sample: some images, `uint8`, (n, 3, height, width).
        recipe: sizes of the new parts.
    """

    def __init__(
        self,
        normalise: Normalise,
        front: nn.Module,
        tail: nn.Module,
        sample: Tensor,
        recipe: BottleneckRecipe,
    ) -> None:
        super().__init__()
        with torch.no_grad():
            features = front(normalise(sample))
        levels = len(recipe.rates)
        width, blocks = recipe.adapter
        self.encoder = Encoder(normalise, front, features, recipe.latents)
        self.gains = Gains(recipe.latents, levels)
        self.prior = Prior(recipe.latents, levels, recipe.groups)
        self.adapter = Adapter(self.encoder, levels, width, blocks)
        self.tail = tail

    def forward(self, images: Tensor, level: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Scores (n, classes), bits (n,), and outputs of the cut and of the watched layers.

        Latents are really rounded, as in `training.joint`.
        """
        y = self.encoder(images)
        with torch.autocast(images.device.type, enabled=False):
            scaled = y * self.gains.up(level)
            q = scaled + (scaled.round() - scaled).detach()
            bits = self.prior.bits(q, level)
            z = q * self.gains.down(level)
        features = self.adapter(z, self.adapter.shifts[level])
        scores, *watched = self.tail(features)
        return scores.float(), bits, [features, *watched]
