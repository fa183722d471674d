"""A network whose convolutions are shifted, by as much as each rate level needs."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from codecframe_vae.bottleneck.depthwise import depthwise
from codecframe_vae.bottleneck.split import copied

_CONVOLUTIONS = (torch.ops.aten.conv2d.default, torch.ops.aten.convolution.default, depthwise)


class Levelled(nn.Module):
    """A tail whose convolutions' outputs are shifted by numbers that come with its input.

    Args:
        tail: a graph from features to (scores, ...), as `split.tail_of` makes it.

    Attributes:
        width: numbers that it takes for each image.
    """

    def __init__(self, tail: nn.Module) -> None:
        super().__init__()
        assert isinstance(tail, fx.GraphModule)  # noqa: S101 - `tail_of`
        graph = copied(tail)
        features = next(node for node in graph.graph.nodes if node.op == "placeholder")
        with graph.graph.inserting_after(features):
            shift = graph.graph.placeholder("shift")
        self.width = 0
        for node in list(graph.graph.nodes):
            if node.target in _CONVOLUTIONS:
                self.width += _shifted(graph, node, shift, self.width)
        graph.recompile()
        self.graph = graph

    def forward(self, features: Tensor, shift: Tensor) -> tuple[Tensor, ...]:
        """(scores, ...); `shift` is (n, width)."""
        found: tuple[Tensor, ...] = self.graph(features, shift)
        return found


def _shifted(graph: fx.GraphModule, node: fx.Node, shift: fx.Node, start: int) -> int:
    """Shift a convolution's output by part of `shift`; how many numbers that takes."""
    channels = int(node.meta["val"].shape[1])
    with graph.graph.inserting_after(node):
        added = graph.graph.call_function(_plus, (node, shift, start, start + channels))
    added.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(added, delete_user_cb=lambda user: user is not added)
    return channels


def _plus(values: Tensor, shift: Tensor, start: int, end: int) -> Tensor:
    return values + shift[:, start:end, None, None].to(values.dtype)
