"""Classifiers of pixels as torch modules, from the ONNX files that trainings wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from codecframe_vae.networks.nets import ChannelsLast, PixelModel, folded
from codecframe_vae.networks.widths import Widths


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
    widths = Widths(recipe["latents"], head, top, classes, 1, full, stem, encoder)
    network = folded(PixelModel(widths)).requires_grad_(False)
    module = ChannelsLast(network)
    module.load_state_dict(_weights(model.graph, module.state_dict()))
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
