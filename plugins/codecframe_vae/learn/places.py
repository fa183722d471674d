"""Where a network's graph can be cut in two: all that goes on passes through one tensor."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx

_PASSES = 3
_ELEMENTWISE = (
    *("relu", "relu_", "hardtanh", "hardtanh_", "clamp", "clamp_min", "silu", "gelu", "hardswish"),
    *("leaky_relu", "elu", "mish", "sigmoid", "tanh", "dropout", "clone", "contiguous"),
    *("batch_norm", "_native_batch_norm_legit_no_training"),
)
"""Operations that change each number by itself: behind one, no more is to be sent."""


@dataclass(frozen=True)
class Place:
    """A node of a graph at whose output it can be cut.

    Attributes:
        node: its name in the graph.
        layer: what a recipe calls it: the layer whose last operation it is, or the node.
        shape: (channels, height, width) of its output.
        parameters: of all nodes up to it.
        macs: multiply-adds up to it, for one image.
        seconds: that torch takes up to it, for one image, in one thread.
    """

    node: str
    layer: str
    shape: tuple[int, int, int]
    parameters: int
    macs: int
    seconds: float


def places(graph: fx.GraphModule, image: Tensor) -> list[Place]:
    """All places where the graph can be cut, in order.

    Args:
        graph: as `split.graph_of` makes it.
        image: one, as the network takes it, (1, 3, height, width).
    """
    measured = _Measured(graph)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(_PASSES):
                measured.run(image)
    finally:
        torch.set_num_threads(threads)
    seconds, macs, seen, parameters = 0.0, 0, set[str](), 0
    layers = _layers(graph)
    crossed = {id(node) for node in _narrow(graph)}
    found = []
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            continue
        seconds += measured.seconds.get(node.name, 0.0)
        macs += measured.macs.get(node.name, 0)
        for weight in node.all_input_nodes:
            if weight.op == "get_attr" and weight.name not in seen:
                seen.add(weight.name)
                parameters += attrgetter(str(weight.target))(graph).numel()
        shape = measured.shapes.get(node.name, ())
        if id(node) in crossed and len(shape) == 4:
            channels, height, width = shape[1:]
            layer = layers.get(node.name, node.name)
            size = (channels, height, width)
            found.append(Place(node.name, layer, size, parameters, macs, seconds))
    return found


def _narrow(graph: fx.GraphModule) -> Iterator[fx.Node]:
    """Nodes whose output is all that later nodes see of the image."""
    for node, live in crossings(graph):
        passed_on = len(node.users) == 1 and _is_named(next(iter(node.users)), _ELEMENTWISE)
        if live == [node] and not passed_on and not _is_named(node, ("pad", "constant_pad_nd")):
            yield node


def crossings(graph: fx.GraphModule) -> Iterator[tuple[fx.Node, list[fx.Node]]]:
    """Each node that makes a tensor of the image, with all such nodes up to it whose outputs later
    nodes take.
    """
    nodes = list(graph.graph.nodes)
    order = {node: number for number, node in enumerate(nodes)}
    image = next(node for node in nodes if node.op == "placeholder")
    moved = {image}
    live = [image]
    last = {node: max((order[user] for user in node.users), default=-1) for node in nodes}
    for number, node in enumerate(nodes):
        if node.op != "call_function" or not moved & set(node.all_input_nodes):
            continue
        if not isinstance(node.meta.get("val"), (Tensor, tuple, list)):
            continue  # a size
        moved.add(node)
        live = [value for value in (*live, node) if last[value] > number]
        yield node, live


def _is_named(node: fx.Node, names: Sequence[str]) -> bool:
    """Whether a node is one of torch's operations of these names."""
    return str(node.target).removeprefix("aten.").partition(".")[0] in names


def _layers(graph: fx.GraphModule) -> dict[str, str]:
    """By node: the outermost layer whose last operation it is."""
    found: dict[str, str] = {}
    last: dict[str, fx.Node] = {}
    for node in graph.graph.nodes:
        if node.op == "call_function":
            for name, _ in node.meta.get("nn_module_stack", {}).values():
                last[name] = node
    for layer in sorted(filter(None, last), key=lambda name: name.count("."), reverse=True):
        found[last[layer].name] = layer
    return found


class _Measured(fx.Interpreter):
    """Runs a graph, and notes of each node its output's shape, multiply-adds and least time."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.seconds: dict[str, float] = {}
        self.macs: dict[str, int] = {}
        self.shapes: dict[str, Sequence[int]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """As the interpreter does."""
        began = time.thread_time()
        value = super().run_node(n)
        took = time.thread_time() - began
        self.seconds[n.name] = min(took, self.seconds.get(n.name, took))
        if isinstance(value, Tensor) and n.op == "call_function" and value.is_floating_point():
            self.shapes[n.name] = tuple(value.shape)
            self.macs[n.name] = _macs(n, value, self.env)
        return value


def _macs(node: fx.Node, value: Tensor, env: dict[fx.Node, Any]) -> int:
    """Multiply-adds of a node; only those of products of matrices count."""
    target = str(node.target)
    if "conv" in target and len(node.args) > 1:
        weight = env.get(node.all_input_nodes[1])
        return value.numel() * weight[0].numel() if isinstance(weight, Tensor) else 0
    if any(name in target for name in ("linear", "addmm", "matmul", "bmm", "aten.mm")):
        inputs = [env.get(one) for one in node.all_input_nodes]
        shapes = [one.shape for one in inputs if isinstance(one, Tensor) and one.ndim > 1]
        return value.numel() * int(shapes[0][-1]) if shapes else 0
    return 0
