"""What follows a cut as an ONNX graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from codecframe_vae.bottleneck.model import Bottleneck
from codecframe_vae.bottleneck.task import LogProbabilities
from codecframe_vae.training.export import exported, packed
from codecframe_vae.training.external_weights import Externalizer


class OfLatents(nn.Module):
    """A function of `latents` and `shift`, float32, as a network.

    Args:
        function: what it does.
        parts: the networks that the function calls, by the names of their weights in the graph.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self._function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, latents: Tensor, shift: Tensor) -> Tensor:
        """What the function gives."""
        return self._function(latents, shift)


def head_graph(
    model: Bottleneck, logs: LogProbabilities, images: Tensor, external: Externalizer
) -> bytes:
    """Adapter and tail, for latents of images of the final size, to logarithms of the classes'
    probabilities; external kernels stay.
    """
    with torch.no_grad():
        latents = model.encoder(images[:2])
    given = {"latents": latents, "shift": model.adapter.shifts.detach()[[0, 0]]}
    network = OfLatents(
        lambda latents, shift: logs(model.tail(model.adapter(latents, shift))[0]),
        _adapter=model.adapter,
        _tail=model.tail,
    )
    return packed(exported(network, given, "logits"), external)
