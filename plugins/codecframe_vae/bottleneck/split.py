"""A torch module cut in two at the output of one of its layers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, fx, nn

import codecframe
from codecframe_vae.bottleneck.depthwise import speed_up


def graph_of(module: nn.Module, example: Tensor, *, any_size: bool = True) -> fx.GraphModule:
    """What a module does, as a graph of pure operations over its own (copied) parameters.

    Args:
        module: takes images.
        example: images that it takes, (2 or more, 3, height, width); the graph takes batches of
            any number.
        any_size: follow what the module does with images of any size, where it takes them. That
            takes a minute where it computes its padding; without it, the graph pads as for
            the example.

    Raises:
        MismatchError: if torch cannot follow what the module does.
    """
    module = copied(module)
    for layer in module.modules():
        if getattr(layer, "inplace", False) is True:  # a graph cut there must find it as it was
            cast("nn.ReLU", layer).inplace = False
    sides = dict.fromkeys((2, 3), torch.export.Dim.AUTO) if any_size else {}
    axes = ({0: torch.export.Dim("images", min=1), **sides},)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's of itself
            program = torch.export.export(module, (example,), dynamic_shapes=axes)
            if any(_is_mutable(node) for node in program.graph.nodes):
                program = program.run_decompositions({})
            graph = program.module()
    except Exception as error:  # whatever the module does
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise codecframe.MismatchError(
            f"torch.export cannot follow {type(module).__name__}: {reason[0]}"
        ) from error
    return _simplified(graph)


_Module = TypeVar("_Module", bound=nn.Module)


def copied(module: _Module) -> _Module:
    """A copy; torch warns of its own inner parts when one of a graph is made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return copy.deepcopy(module)


def front_of(graph: fx.GraphModule, layer: str) -> nn.Module:
    """A graph from images to the output of `layer`, for batches of images of any size.

    Args:
        graph: of a module, as `graph_of` makes it.
        layer: name of the layer, as in `named_modules()`, or of a node of the graph.

    Raises:
        UnknownNameError: if there is no such layer.
        MismatchError: if the layer makes no maps.
    """
    graph = copied(graph)
    made = node_of(graph, layer)
    value = made.meta.get("val")
    if not isinstance(value, Tensor) or value.ndim != 4:
        raise codecframe.MismatchError(f"layer {layer!r} makes no (n, channels, height, width)")
    finish(graph, made)
    return graph


def fronts_of(graph: fx.GraphModule, layers: Sequence[str]) -> nn.Module:
    """As `front_of`, to the outputs of several layers, a tuple."""
    graph = copied(graph)
    finish(graph, tuple(node_of(graph, layer) for layer in layers))
    return graph


def tail_of(
    graph: fx.GraphModule, layer: str, watched: Sequence[str], example: Tensor
) -> nn.Module:
    """A graph from the output of `layer` to (scores, outputs of the watched layers...).

    Args:
        graph: of a module, as `graph_of` makes it.
        layer: name of the layer or node that it is cut at.
        watched: names of later ones.
        example: images; all later ones are of this size.

    Raises:
        UnknownNameError: if there is no such layer.
        MismatchError: if something goes round the layer.
    """
    graph = copied(graph)
    images = next(node for node in graph.graph.nodes if node.op == "placeholder")
    cut = node_of(graph, layer)
    with graph.graph.inserting_before(images):
        features = graph.graph.placeholder("features")
    features.meta["val"] = cut.meta["val"]
    cut.replace_all_uses_with(features)
    with graph.graph.inserting_after(features):
        count = graph.graph.call_function(torch.ops.aten.sym_size.int, (features, 0))
    for node in list(graph.graph.nodes):
        if node is not count and node.target == torch.ops.aten.sym_size.int:
            of, axis = node.args
            if of is images and axis == 0:
                node.replace_all_uses_with(count)
            elif of is images:
                _replace_by(node, int(example.shape[cast("int", axis)]))
    (scores,) = cast("tuple[fx.Node]", graph.graph.output_node().args[0])
    others = [node_of(graph, name) for name in watched]
    finish(graph, (scores, *others))
    if any(node.op == "placeholder" and node is not features for node in graph.graph.nodes):
        raise codecframe.MismatchError(f"not all that the classifier sees goes through {layer!r}")
    return graph


def _replace_by(node: fx.Node, value: int) -> None:
    """Put a number in the place of a node wherever it is used."""
    for user in list(node.users):
        user.args = fx.node.map_arg(user.args, lambda one: value if one is node else one)
        user.kwargs = fx.node.map_arg(user.kwargs, lambda one: value if one is node else one)


def _is_mutable(node: fx.Node) -> bool:
    """Whether an operation changes one of its inputs."""
    schema = getattr(node.target, "_schema", None)
    return bool(schema is not None and schema.is_mutable)


def _simplified(graph: fx.GraphModule) -> fx.GraphModule:
    """Without checks of sizes, and with plain inputs and outputs."""
    for node in reversed(list(graph.graph.nodes)):
        if node.op == "call_module" or (not node.users and "assert" in str(node.target)):
            graph.graph.erase_node(node)
    graph.graph.set_codegen(fx.graph.CodeGen())
    graph.recompile()
    for mode in ("train", "eval"):  # refused for exported programs; this one has only one mode
        graph.__dict__.pop(mode, None)
    return graph


def node_of(graph: fx.GraphModule, layer: str) -> fx.Node:
    """The last operation of a layer, or the node of that name.

    Raises:
        UnknownNameError: if there is neither.
    """
    found: fx.Node | None = None
    known: dict[str, None] = {}
    for node in graph.graph.nodes:
        owners = node.meta.get("nn_module_stack", {}).values()
        known |= dict.fromkeys(name for name, _ in owners if name)
        if node.op == "call_function" and any(name == layer for name, _ in owners):
            found = node
    if found is None:
        found = next((node for node in graph.graph.nodes if node.name == layer), None)
    if found is None:
        raise codecframe.UnknownNameError("layer", layer, known)
    return found


def finish(graph: fx.GraphModule, output: Any) -> None:
    """Make that the output, and keep only what it needs."""
    graph.graph.output_node().args = (output,)
    needed = origins(graph.graph.output_node())
    for node in reversed(list(graph.graph.nodes)):
        if node not in needed:
            graph.graph.erase_node(node)
    speed_up(graph)
    graph.delete_all_unused_submodules()
    _drop_unused(graph)


def origins(node: fx.Node) -> set[fx.Node]:
    """A node, and all that it depends on."""
    found: set[fx.Node] = set()
    waiting = [node]
    while waiting:
        if (one := waiting.pop()) not in found:
            found.add(one)
            waiting += one.all_input_nodes
    return found


def _drop_unused(graph: fx.GraphModule) -> None:
    """Remove parameters and buffers that the graph does not read."""
    read = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    for name in [n for n, _ in (*graph.named_parameters(), *graph.named_buffers())]:
        if name not in read:
            owner, _, leaf = name.rpartition(".")
            delattr(graph.get_submodule(owner), leaf)
