"""The networks around a cut as ONNX graphs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codecframe_vae.bottleneck.model import Bottleneck, Encoder
from codecframe_vae.bottleneck.task import LogProbabilities
from codecframe_vae.networks.nets import ChannelsLast
from codecframe_vae.training.export import exported, packed
from codecframe_vae.training.external_weights import Externalizer

_ANY = torch.export.Dim.AUTO


class _Recognition(nn.Module):
    """`latents` and `shift`, float32, to `logits`."""

    def __init__(self, model: Bottleneck, logs: LogProbabilities) -> None:
        super().__init__()
        self._adapter, self._tail, self._logs = model.adapter, model.tail, logs

    def forward(self, latents: Tensor, shift: Tensor) -> Tensor:
        """Logarithms of the classes' probabilities."""
        return self._logs(self._tail(self._adapter(latents, shift))[0])


def encoder_graph(encoder: Encoder, images: Tensor) -> bytes:
    """The encoder, for images of any size.

    Args:
        encoder: in evaluation mode.
        images: some, `uint8`, (n, 3, height, width).
    """
    example = images[:2].permute(0, 2, 3, 1).contiguous()
    sizes = {"images": dict.fromkeys((0, 1, 2), _ANY)}
    return exported(ChannelsLast(encoder), {"images": example}, sizes, "latents")


def head_graph(
    model: Bottleneck, logs: LogProbabilities, images: Tensor, external: Externalizer
) -> bytes:
    """Adapter and tail, for latents of images of the final size; external kernels stay."""
    with torch.no_grad():
        latents = model.encoder(images[:2])
    given = {"latents": latents, "shift": model.adapter.shifts.detach()[[0, 0]]}
    batches = {name: {0: _ANY} for name in given}
    return packed(exported(_Recognition(model, logs), given, batches, "logits"), external)
