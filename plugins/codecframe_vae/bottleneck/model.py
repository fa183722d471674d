"""The networks around a cut: encoder, adapter, and the classifier's other layers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from codecframe import Preprocess
from codecframe_vae.bottleneck.grid import Grid, resized, squares
from codecframe_vae.bottleneck.recipe import BottleneckRecipe
from codecframe_vae.bottleneck.start import Start, Transform
from codecframe_vae.networks.nets import Gains, ResidualBlocks
from codecframe_vae.training.prior import Prior


class Normalise(nn.Module):
    """Images 0..255, (n, 3, height, width), RGB, to what a classifier takes, channels first."""

    factor: Tensor
    offset: Tensor

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        self._is_bgr = preprocess.channels == "bgr"
        factor, offset = preprocess.normalisation
        if preprocess.dtype == "uint8":  # pixels are taken as they are
            factor, offset = np.ones_like(factor), np.zeros_like(offset)
        for name, values in (("factor", factor), ("offset", offset)):
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
        transform: what the projection begins as; of blocks, see `grid.blocked`, as
            `pixel_unshuffle` orders their features.
        grid: of the images that are trained.
        block: squares of the cut on each side of one of the latents.
    """

    def __init__(
        self,
        normalise: Normalise,
        front: nn.Module,
        transform: Transform,
        grid: Grid,
        block: int = 1,
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.front = front
        self.grid = grid
        latents, features = transform.forward.shape
        self.project = nn.Conv2d(features // block**2, latents, block, block)
        with torch.no_grad():
            self.project.weight.copy_(transform.forward.reshape(self.project.weight.shape))
            self.project.bias = nn.Parameter((-transform.forward @ transform.mean).float())

    def forward(self, images: Tensor) -> Tensor:
        """`float32` latents, of images of any size."""
        stride = self.grid.stride
        height, width = images.shape[2:]
        return self._projected(
            self.features(images), squares(height, stride), squares(width, stride)
        )

    def features(self, images: Tensor) -> Tensor:
        """Of the cut."""
        features: Tensor = self.front(self.normalise(images))
        return features

    def latents(self, features: Tensor) -> Tensor:
        """`float32`, of features at the cut, of images of the size that is trained."""
        return self._projected(features, *self.grid.latents)

    def _projected(self, features: Tensor, rows: int, columns: int) -> Tensor:
        latents: Tensor = self.project(features).float()
        return latents if self.grid.fits else resized(latents, rows, columns)


class Adapter(nn.Module):
    """Dequantised latents to the features at the cut; a level shifts the first layer's outputs.

    Args:
        transform: which it undoes, to begin with.
        levels: rate levels that are trained.
        width: channels.
        blocks: residual blocks.
        grid: of the images whose features it makes.
    """

    def __init__(
        self, transform: Transform, levels: int, width: int, blocks: int, grid: Grid
    ) -> None:
        super().__init__()
        self.grid = grid
        latents, features = transform.forward.shape
        self.first = nn.Conv2d(latents, width, 3, padding=1)
        self.shifts = nn.Parameter(torch.zeros(levels, width))
        self.body = ResidualBlocks(width, blocks)
        self.last = nn.Conv2d(width, features, 3, padding=1)
        self.linear = nn.Conv2d(latents, features, 1)
        with torch.no_grad():
            nn.init.zeros_(self.last.weight)
            self.last.bias = nn.Parameter(torch.zeros(features))
            self.linear.weight[:, :, 0, 0] = transform.back
            self.linear.bias = nn.Parameter(transform.mean.float().clone())

    def forward(self, latents: Tensor, shift: Tensor) -> Tensor:
        """Features; `shift` is (n, width)."""
        x = functional.relu(self.body(self.first(latents), shift))
        restored: Tensor = self.linear(latents) + self.last(x)
        return restored if self.grid.fits else resized(restored, *self.grid.maps)


class Bottleneck(nn.Module):
    """Encoder, gains, prior, adapter, and the classifier's layers behind the cut.

    Args:
        normalise: what the classifier does to images first.
        front: its layers up to the cut.
        tail: its other layers: features to (scores, outputs of watched layers...).
        start: what transform, gains and prior begin as.
        grid: of the images that are trained.
        recipe: sizes of the new parts.
    """

    def __init__(
        self,
        normalise: Normalise,
        front: nn.Module,
        tail: nn.Module,
        start: Start,
        grid: Grid,
        recipe: BottleneckRecipe,
    ) -> None:
        super().__init__()
        levels = len(recipe.rates)
        self.encoder = Encoder(normalise, front, start.transform, grid)
        self.gains = Gains(recipe.latents, levels, start.log_gains)
        self.prior = Prior(recipe.latents, levels, recipe.groups)
        with torch.no_grad():
            self.prior.log_width.copy_(start.log_widths[:, None])
        width, blocks = recipe.adapter
        self.adapter = Adapter(start.transform, levels, width, blocks, grid)
        self.tail = tail

    def behind(self, features: Tensor, level: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Scores (n, classes), bits (n,), and outputs of the cut and of the watched layers, of
        features at the cut as the encoder's layers make them.
        """
        z, bits = self.prior.coded(self.encoder.latents(features), self.gains, level)
        restored = self.adapter(z, self.adapter.shifts[level])
        scores, *watched = self.tail(restored)
        return scores.float(), bits, [restored, *watched]


class Whole(nn.Module):
    """A classifier as it was, cut.

    Args:
        normalise: what it does to images first.
        front: its layers up to the cut.
        tail: its other layers: features to (scores, outputs of watched layers...).
    """

    def __init__(self, normalise: Normalise, front: nn.Module, tail: nn.Module) -> None:
        super().__init__()
        self.normalise, self.front, self.tail = normalise, front, tail

    def features(self, images: Tensor) -> Tensor:
        """At the cut, of images 0..255, (n, 3, height, width)."""
        features: Tensor = self.front(self.normalise(images))
        return features
