"""What latents cost in bits, as training sees it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from codecframe_vae.networks.nets import Gains


class Prior(nn.Module):
    """Each latent is Gaussian around a mean that is linear in latents decoded before it.

    Order of decoding: channel groups; within a group the even squares of the checkerboard, then the
    odd ones. An even square sees all earlier groups in its 3x3 neighbourhood; an odd one also the
    four even squares beside it in its own group. `ContextModel` codes in the same order.

    The mass of an integer q is that between q - 1/2 and q + 1/2 (Balle et al., ICLR 2018).
    """

    mask_even: Tensor
    mask_odd: Tensor

    def __init__(self, latents: int, levels: int, groups: int) -> None:
        super().__init__()
        group = torch.arange(latents) // (latents // groups)
        earlier = (group[None, :] < group[:, None]).float()[:, :, None, None]
        same = (group[None, :] == group[:, None]).float()[:, :, None, None]
        cross = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
        self.register_buffer("mask_even", earlier.repeat(1, 1, 3, 3))
        self.register_buffer("mask_odd", self.mask_even + same * cross)
        self.weight_even = nn.Parameter(torch.zeros(latents, latents, 3, 3))
        self.weight_odd = nn.Parameter(torch.zeros(latents, latents, 3, 3))
        # (levels, phases, latents)
        self.bias = nn.Parameter(torch.zeros(levels, 2, latents))
        self.gain = nn.Parameter(torch.ones(levels, 2, latents))
        self.log_width = nn.Parameter(torch.full((levels, 2, latents), -0.7))

    def bits(self, q: Tensor, level: Tensor) -> Tensor:
        """Bits of each image, (n,), for integer-valued `q`, (n, latents, h, w), in `float32`."""
        y, x = (torch.arange(side, device=q.device) for side in q.shape[2:])
        even = (y[:, None] + x) % 2 == 0

        def of_level(table: Tensor) -> Tensor:
            rows = table[level][:, :, :, None, None]
            return torch.where(even, rows[:, 0], rows[:, 1])

        means = torch.where(
            even,
            functional.conv2d(q, self.weight_even * self.mask_even, padding=1),
            functional.conv2d(q, self.weight_odd * self.mask_odd, padding=1),
        )
        mean = means * of_level(self.gain) + of_level(self.bias)
        narrow = of_level((-self.log_width).exp())
        far = -(q - mean).abs()  # in the lower tail, where differences of `ndtr` are accurate
        mass = torch.special.ndtr((far + 0.5) * narrow) - torch.special.ndtr((far - 0.5) * narrow)
        return -torch.log2(mass + 1e-6).sum((1, 2, 3))

    def coded(self, real: Tensor, gains: Gains, level: Tensor) -> tuple[Tensor, Tensor]:
        """(latents as they arrive, (n, latents, h, w), bits of each image, (n,)), of real ones.

        Latents are really rounded, and the rate is that of the rounded ones; gradients pass the
        rounding as if it were not there.
        """
        with torch.autocast(real.device.type, enabled=False):
            scaled = real * gains.up(level)
            q = scaled + (scaled.round() - scaled).detach()
            return q * gains.down(level), self.bits(q, level)
