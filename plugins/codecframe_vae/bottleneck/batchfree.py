"""Networks that were made for a fixed number of images, for any number."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

import codecframe


def freed(module: nn.Module, values: Tensor, name: str) -> tuple[nn.Module, Any]:
    """(the module, or where it does not take so many images, one that takes any number; what that
    gives for them).

    A graph gets the number of images where it has that of its example; any other module is mapped
    over images one by one, which has gradients but cannot be cut.

    Args:
        module: of one input.
        values: that it should take, (2 or more, ...).
        name: of the head, for the error.

    Raises:
        MismatchError: if nothing works: with what the module said.
    """
    reasons = []
    for make in (_as_it_is, _graph_freed, _Mapped):
        try:
            made = make(module)
            with torch.no_grad():
                return made, made(values)
        except Exception as error:  # of any kind: what a module does is not known
            reasons += str(error).strip().splitlines()[:1]
    raise codecframe.MismatchError(
        f"head {name!r} does not take {len(values)} images of shape {tuple(values.shape[1:])}: "
        f"{reasons[-1] if reasons else 'nothing says why'}"
    )


def _as_it_is(module: nn.Module) -> nn.Module:
    return module


class _Mapped(nn.Module):
    """A module for one image, over a batch."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, values: Tensor) -> Any:
        """What the module gives for each image, in one batch."""
        found = torch.vmap(self.module)(values[:, None])
        return torch.utils._pytree.tree_map(lambda one: one.squeeze(1), found)


_SIZED = {
    torch.ops.aten.view.default,
    torch.ops.aten.reshape.default,
    torch.ops.aten._unsafe_view.default,
    torch.ops.aten.expand.default,
}
"""Operations whose second argument is a list of sizes, the number of images first."""


def _graph_freed(module: nn.Module) -> nn.Module:
    """An exported program of a fixed number of images for any number.

    Raises:
        MismatchError: if it is none.
    """
    if not isinstance(module, fx.GraphModule):
        raise codecframe.MismatchError("it is not a graph")
    module = copy.deepcopy(module)
    graph = module.graph
    images = next(node for node in graph.nodes if node.op == "placeholder")
    with graph.inserting_after(images):
        count = graph.call_function(torch.ops.aten.sym_size.int, (images, 0))
    fixed = images.meta["val"].shape[0]
    for node in list(graph.nodes):
        if node.op == "call_module" and "guard" in str(node.target):  # they want so many images
            node.replace_all_uses_with(images)
            graph.erase_node(node)
        elif node.target in _SIZED and _first(node) == fixed == node.args[1][0]:
            sizes = [count, *node.args[1][1:]]
            if node.target == torch.ops.aten.expand.default:
                sizes[1:] = node.meta["val"].shape[1:]
            node.args = (node.args[0], sizes)
    return fx.GraphModule(module, graph)


def _first(node: fx.Node) -> Any:
    """Size of the first axis of an operation's first argument."""
    value = cast("fx.Node", node.args[0]).meta.get("val")
    return value.shape[0] if isinstance(value, Tensor) and value.ndim else None
