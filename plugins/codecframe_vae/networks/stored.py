"""Classifiers as torch modules, from the ONNX graphs that trainings wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from codecframe_vae.networks.nets import ChannelsLast, Head, PixelModel, folded
from codecframe_vae.networks.widths import HeadWidths, Widths

F32 = npt.NDArray[np.float32]


def classifier(graph: bytes) -> PixelModel:
    """The classifier in a file, with its normalisations in its kernels; nothing of it is trained.

    Args:
        graph: ONNX, as `training.export.classifier_graph` writes it.

    Raises:
        ValueError, KeyError, RuntimeError: if it is something else.
    """
    model = onnx.load_from_string(graph)
    said = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    recipe, classes = said["recipe"], len(said["labels"])
    head, top, full, stem, encoder = (
        tuple(recipe[name]) for name in ("head", "top", "full", "stem", "encoder")
    )
    separable = bool(recipe.get("separable"))
    widths = Widths(recipe["latents"], head, top, classes, 1, full, stem, encoder, separable)
    network = folded(PixelModel(widths)).requires_grad_(False)
    module = ChannelsLast(network)
    module.load_state_dict(_weights(model.graph, module.state_dict()))
    return network


def head(graph: bytes, widths: HeadWidths) -> Head:
    """The head of a model file, with its normalisations in its kernels; nothing of it is trained.

    Args:
        graph: ONNX, as `training.export.head_graph` writes it; names of its constants do not count.
        widths: its sizes.

    Raises:
        ValueError, KeyError, RuntimeError: if it is something else.
    """
    network = folded(Head(widths)).requires_grad_(False)
    layers = [one for one in network.modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    stored = onnx.load_from_string(graph).graph
    makers = {node.output[0]: node for node in stored.node}
    constants = {one.name: numpy_helper.to_array(one) for one in stored.initializer}

    def value(name: str) -> F32:
        """A constant, or the product of a kernel in `int8` and its scales."""
        if name in constants:
            return np.array(constants[name], np.float32)
        node = makers[name]
        found = value(node.input[0])
        return found * value(node.input[1]) if node.op_type == "Mul" else found

    nodes = [node for node in stored.node if node.op_type in ("Conv", "Gemm")]
    for layer, node in zip(layers, nodes, strict=True):
        weights = dict(zip(("weight", "bias"), map(value, node.input[1:]), strict=False))
        weights.setdefault("bias", np.zeros(len(weights["weight"]), np.float32))
        layer.load_state_dict({name: torch.from_numpy(one) for name, one in weights.items()})
    return network


def _weights(graph: onnx.GraphProto, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's weights by their names; kernels that are stored as `int8` are `float32`."""
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    found = {}
    for name, value in wanted.items():
        if name in constants:
            found[name] = torch.from_numpy(constants[name].copy())
        elif f"{name}.int8" in constants:
            scaled = constants[f"{name}.int8"].astype(np.float32) * constants[f"{name}.scale"]
            found[name] = torch.from_numpy(scaled)
        elif name.endswith(("bias", "shifts")):  # zeros are not stored
            found[name] = torch.zeros_like(value)
    return found
