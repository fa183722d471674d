"""A torch module cut in two at the output of one of its layers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

import codecframe
from codecframe_vae.bottleneck.depthwise import speed_up


def front_of(module: nn.Module, layer: str, example: Tensor) -> nn.Module:
    """The module from images to the output of `layer`, for batches of images of any size.

    Args:
        module: takes images.
        layer: name of the layer, as in `named_modules()`.
        example: images that it takes, (2 or more, 3, height, width).

    Raises:
        UnknownNameError: if there is no such layer.
        MismatchError: if torch cannot follow what the module does, or the layer makes no maps.
    """
    sides = dict.fromkeys((2, 3), torch.export.Dim.AUTO)
    graph = _graph(module, example, sides)
    made = _output_of(graph, module, layer)
    value = made.meta.get("val")
    if not isinstance(value, Tensor) or value.ndim != 4:
        raise codecframe.MismatchError(f"layer {layer!r} makes no (n, channels, height, width)")
    _finish(graph, made)
    return graph


def tail_of(module: nn.Module, layer: str, watched: Sequence[str], example: Tensor) -> nn.Module:
    """The module from the output of `layer` to (scores, outputs of the watched layers...).

    Args:
        module: takes images.
        layer: name of the layer that it is cut at.
        watched: names of later layers.
        example: images that it takes, (2 or more, 3, height, width); later ones are of this size.

    Raises:
        UnknownNameError: if there is no such layer.
        MismatchError: if torch cannot follow what the module does, or something goes round the
            layer.
    """
    graph = _graph(module, example, {})
    images = next(node for node in graph.graph.nodes if node.op == "placeholder")
    cut = _output_of(graph, module, layer)
    with graph.graph.inserting_before(images):
        features = graph.graph.placeholder("features")
    features.meta["val"] = cut.meta["val"]
    cut.replace_all_uses_with(features)
    with graph.graph.inserting_after(features):
        count = graph.graph.call_function(torch.ops.aten.sym_size.int, (features, 0))
    for node in list(graph.graph.nodes):
        if node is not count and _is_count_of(node, images):
            node.replace_all_uses_with(count)
    (scores,) = cast("tuple[fx.Node]", graph.graph.output_node().args[0])
    others = [_output_of(graph, module, name) for name in watched]
    _finish(graph, (scores, *others))
    if any(node.op == "placeholder" and node is not features for node in graph.graph.nodes):
        raise codecframe.MismatchError(f"not all that the classifier sees goes through {layer!r}")
    return graph


def _graph(module: nn.Module, example: Tensor, dynamic: dict[int, Any]) -> fx.GraphModule:
    """What the module does, as a graph of pure operations over its own (copied) parameters."""
    axes = ({0: torch.export.Dim("images", min=1), **dynamic},)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's of itself
            program = torch.export.export(copy.deepcopy(module), (example,), dynamic_shapes=axes)
            graph = program.run_decompositions({}).module()
    except Exception as error:  # whatever the module does
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise codecframe.MismatchError(
            f"torch.export cannot follow {type(module).__name__}: {reason[0]}"
        ) from error
    return cast("fx.GraphModule", graph)


def _output_of(graph: fx.GraphModule, module: nn.Module, layer: str) -> fx.Node:
    """The last operation of a layer."""
    found: fx.Node | None = None
    for node in graph.graph.nodes:
        owners = node.meta.get("nn_module_stack", {}).values()
        if node.op == "call_function" and any(name == layer for name, _ in owners):
            found = node
    if found is None:
        known = [name for name, _ in module.named_modules() if name]
        raise codecframe.UnknownNameError("layer", layer, known)
    return found


def _is_count_of(node: fx.Node, images: fx.Node) -> bool:
    """Whether a node is the number of images."""
    return node.target == torch.ops.aten.sym_size.int and node.args == (images, 0)


def _finish(graph: fx.GraphModule, output: Any) -> None:
    """Make that the output, and keep only what it needs."""
    graph.graph.output_node().args = (output,)
    needed: set[fx.Node] = set()
    waiting = [graph.graph.output_node()]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += node.all_input_nodes
    for node in reversed(list(graph.graph.nodes)):
        if node not in needed:
            graph.graph.erase_node(node)
    graph.graph.set_codegen(fx.graph.CodeGen())  # inputs and outputs are plain now
    speed_up(graph)
    graph.delete_all_unused_submodules()
    _drop_unused(graph)
    for mode in ("train", "eval"):  # refused for exported programs; this one has only one mode
        graph.__dict__.pop(mode, None)


def _drop_unused(graph: fx.GraphModule) -> None:
    """Remove parameters and buffers that the graph does not read."""
    read = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    for name in [n for n, _ in (*graph.named_parameters(), *graph.named_buffers())]:
        if name not in read:
            owner, _, leaf = name.rpartition(".")
            delattr(graph.get_submodule(owner), leaf)
