"""Depthwise convolutions in the graphs of others, with gradients that are fast on CPUs.

torch's own backward pass takes twenty times as long as the forward pass there, or more in bfloat16;
a transposed convolution in float32, which is the same gradient, takes as long as the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional
from torch.nn.grad import conv2d_weight

_Pair = tuple[int, int]


class _Depthwise(torch.autograd.Function):
    """Arguments as those of `depthwise`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: _Pair, padding: _Pair
    ) -> Tensor:
        """Of `torch.autograd`."""
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight, bias, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        """Of `torch.autograd`."""
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        wide = slope.float()
        to_x = to_weight = None
        if needs_x:
            to_x = _to_input(wide, weight.float(), x, ctx.stride, ctx.padding).to(x.dtype)
        if needs_weight:
            to_weight = conv2d_weight(
                x.float(), weight.shape, wide, ctx.stride, ctx.padding, groups=len(weight)
            )
        return to_x, to_weight, wide.sum((0, 2, 3)) if needs_bias else None, None, None


def _to_input(slope: Tensor, weight: Tensor, x: Tensor, stride: _Pair, padding: _Pair) -> Tensor:
    """The gradient of the input."""
    sides = zip(x.shape[2:], slope.shape[2:], weight.shape[2:], stride, padding, strict=True)
    left = [side - ((out - 1) * step - 2 * pad + tap) for side, out, tap, step, pad in sides]
    return functional.conv_transpose2d(
        slope, weight, None, stride, padding, left, groups=len(weight)
    )


def depthwise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: _Pair = (1, 1),
    padding: _Pair = (0, 0),
) -> Tensor:
    """Each channel of `x`, (n, C, height, width), with a kernel of its own, (C, 1, side, side)."""
    if torch.is_grad_enabled():
        apply: Callable[..., Tensor] = _Depthwise.apply
        return apply(x, weight, bias, stride, padding)
    return functional.conv2d(x, weight, bias, stride, padding, groups=len(weight))


def speed_up(graph: fx.GraphModule) -> None:
    """Let all depthwise convolutions of a graph be `depthwise`."""
    for node in graph.graph.nodes:
        if node.target == torch.ops.aten.conv2d.default and _is_depthwise(*node.args):
            node.target = depthwise
            node.args = node.args[:5]
    graph.recompile()


def _is_depthwise(
    x: fx.Node, weight: fx.Node, bias: Any = None, stride: Any = None, padding: Any = None,
    dilation: Any = (1, 1), groups: int = 1,
) -> bool:  # fmt: skip
    """Whether a convolution with these arguments is one that `depthwise` does."""
    del bias, stride, padding
    kernels, inputs = weight.meta["val"].shape[:2]
    channels = x.meta["val"].shape[1]
    return inputs == 1 and groups == kernels == channels > 1 and list(dilation) == [1, 1]
