"""The network that makes pictures of both layers."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from codecframe_vae.networks.nets import ResidualBlocks
from codecframe_vae.runtime.picture import SIDE

_UNIT = 64.0
"""Pixels are in units of it, around _MIDDLE."""
_MIDDLE = 120.0
_FINE = 2
"""Pixels of a square of the network, in both directions."""


class PictureDecoder(nn.Module):
    """Latents and components to images, RGB 0..255.

    Each block's pixels are linear in the components of nine blocks, and a small network with the
    latents of the task layer beside it mends what that leaves. A level shifts the outputs of its
    first layer.

    Args:
        latents: channels of the task layer.
        stride: pixels between these.
        channels: components of a block.
        levels: of the picture.
        width: channels of the network.
        blocks: its residual blocks.
    """

    def __init__(
        self, latents: int, stride: int, channels: int, levels: int, width: int, blocks: int
    ) -> None:
        super().__init__()
        self._factor = stride / _FINE
        pixels = 3 * _FINE * _FINE
        self.linear = nn.Conv2d(channels, 3 * SIDE * SIDE, 3, padding=1)
        self.first = nn.Conv2d(pixels + latents, width, 3, padding=1)
        self.shifts = nn.Parameter(torch.zeros(levels, width))
        self.body = ResidualBlocks(width, blocks)
        self.last = nn.Conv2d(width, pixels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        self.last.bias = nn.Parameter(torch.zeros(pixels))

    def forward(self, latents: Tensor, picture: Tensor, shift: Tensor) -> Tensor:
        """Images, (n, height, width, 3).

        Args:
            latents: dequantised, (n, C, height / stride, width / stride).
            picture: dequantised components, (n, channels, height / 8, width / 8).
            shift: a row of `shifts` for each image.
        """
        rough = functional.pixel_shuffle(self.linear(picture / _UNIT), SIDE)
        beside = functional.interpolate(latents, scale_factor=self._factor, mode="nearest")
        x = self.first(torch.cat([functional.pixel_unshuffle(rough, _FINE), beside], 1))
        x = functional.relu(self.body(x, shift))
        mended = functional.pixel_shuffle(self.last(x), _FINE)
        return ((rough + mended).float() * _UNIT + _MIDDLE).permute(0, 2, 3, 1)

    @torch.no_grad()
    def start_from(self, components: Tensor, blocks: Tensor) -> None:
        """Let the linear part have the least squared error.

        Args:
            components: dequantised, (n, channels, rows, columns).
            blocks: their pixels, 0..255, (n, 3 * 64, rows, columns).
        """
        around = functional.unfold(components / _UNIT, 3, padding=1).transpose(1, 2)
        given = around.reshape(-1, around.shape[2])
        wanted = ((blocks.float() - _MIDDLE) / _UNIT).permute(0, 2, 3, 1).reshape(len(given), -1)
        mean = wanted.mean(0)
        moments = (given.T @ given).double()
        moments.diagonal().add_(1e-3 * len(given))
        best = torch.linalg.solve(moments, (given.T @ (wanted - mean)).double()).float()
        self.linear.weight.copy_(best.T.reshape(self.linear.weight.shape))
        cast("Tensor", self.linear.bias).copy_(mean)
