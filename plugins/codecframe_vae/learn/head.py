"""What follows a linear codec: back to the features, what levels add to that, and the tail."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from codecframe_vae.bottleneck.grid import Grid, resized
from codecframe_vae.bottleneck.start import Transform
from codecframe_vae.learn.levelled import Levelled
from codecframe_vae.networks.nets import ResidualBlocks


class LearnedHead(nn.Module):
    """Dequantised latents to scores. The linear way back and the tail stay as they are; what is
    learned is added, by as much as each level says: a level that adds nothing is the linear codec.

    Args:
        transform: that the latents were made by.
        grid: of the images whose features are restored.
        tail: the network's other layers, as `split.tail_of` makes them.
        levels: rate levels that are trained.
        width: channels of what is added to features.
        blocks: its residual blocks.
        block: squares of the cut on each side of one of the latents.

    Attributes:
        shifts: what each level adds, (levels, ...): to the first layer's outputs, to the features
            (a factor), and to the outputs of the tail's convolutions.
    """

    def __init__(
        self,
        transform: Transform,
        grid: Grid,
        tail: nn.Module,
        levels: int,
        width: int,
        blocks: int,
        block: int = 1,
    ) -> None:
        super().__init__()
        self.grid, self._block = grid, block
        latents, features = transform.forward.shape
        self.linear = nn.Conv2d(latents, features, 1)
        self.first = nn.Conv2d(latents, width, 3, padding=1)
        self.body = ResidualBlocks(width, blocks)
        self.last = nn.Conv2d(width, features, 3, padding=1, bias=False)
        self.tail = Levelled(tail)
        self._width = width
        self.shifts = nn.Parameter(torch.zeros(levels, width + 1 + self.tail.width))
        with torch.no_grad():
            self.shifts[:, width] = 1
            nn.init.zeros_(self.last.weight)
            self.linear.weight[:, :, 0, 0] = transform.back
            self.linear.bias = nn.Parameter(transform.mean.float().clone())
        for part in (self.linear, self.tail):
            part.requires_grad_(requires_grad=False)

    def forward(self, latents: Tensor, shift: Tensor) -> tuple[Tensor, ...]:
        """(features at the cut, scores, outputs of the watched nodes...); `shift` is a row of
        `shifts` for each image.
        """
        width = self._width
        x = functional.relu(self.body(self.first(latents), shift[:, :width]))
        added = self.last(x) * shift[:, width, None, None, None].to(x.dtype)
        features = functional.pixel_shuffle(self.linear(latents) + added, self._block)
        if not self.grid.fits:
            features = resized(features, *self.grid.maps)
        return (features, *self.tail(features, shift[:, width + 1 :]))

    def learned(self) -> dict[str, Tensor]:
        """The parameters that are learned, by name."""
        return {name: value for name, value in self.named_parameters() if value.requires_grad}
