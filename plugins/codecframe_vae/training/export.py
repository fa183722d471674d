"""Networks as ONNX graphs.

Batch normalisation goes into the convolution before it. Encoders, which are small and decide the
symbols, keep `float32` kernels. Elsewhere large kernels are stored as `int8` with a scale for each
output, and brought back to `float32` when a graph is loaded.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import codecframe
from codecframe_vae.networks.nets import (
    ChannelsLast,
    Encoder,
    Head,
    LinearDecoder,
    PixelModel,
    SimpleDecoder,
    folded,
)
from codecframe_vae.training.external_weights import Externalizer

_OPSET = 18
SMALL = 4096
"""Kernels with fewer weights stay as they are."""
_ANY = torch.export.Dim.AUTO
_IMAGES = torch.zeros(2, 24, 40, 3, dtype=torch.uint8)
_SIZES = {"images": {0: _ANY, 1: _ANY, 2: _ANY}}
_LATENT_SIZES = {"latents": {0: _ANY, 2: _ANY, 3: _ANY}, "shift": {0: _ANY}}


def encoder_graph(encoder: Encoder) -> bytes:
    """`images`, uint8 (n, h, w, 3), to `latents`, float32 (n, C, h / 4, w / 4)."""
    return exported(ChannelsLast(folded(encoder)), {"images": _IMAGES}, _SIZES, "latents")


def head_graph(head: Head) -> bytes:
    """`latents` and `shift`, float32 (n, head), to `logits`, float32 (n, classes)."""
    first = head.first[0]
    return packed(exported(folded(head), _latents(first, head.shifts), _LATENT_SIZES, "logits"))


def decoder_graph(decoder: SimpleDecoder | LinearDecoder) -> bytes:
    """`latents` and `shift`, float32 (n, width), to `images`, float32 (n, h, w, 3), 0..255."""
    inputs = _latents(decoder.first, decoder.shifts)
    return packed(exported(_Pictures(decoder), inputs, _LATENT_SIZES, "images"))


def classifier_graph(model: PixelModel, metadata: Mapping[str, Any]) -> bytes:
    """`images`, uint8 (n, h, w, 3), to `logits`, float32 (n, classes)."""
    network = folded(model)
    with torch.no_grad():
        first: Any = network.head.first[0]
        first.bias += network.head.shifts[-1]
        network.head.shifts.zero_()
    graph = exported(ChannelsLast(network), {"images": _IMAGES}, _SIZES, "logits")
    stored = onnx.load_from_string(packed(graph))
    for key, value in metadata.items():
        stored.metadata_props.add(key=key, value=json.dumps(value))
    return bytes(stored.SerializeToString())


class _Pictures(nn.Module):
    """A decoder whose images are as they are stored."""

    def __init__(self, decoder: SimpleDecoder | LinearDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latents: Tensor, shift: Tensor) -> Tensor:
        """Images, (n, height, width, 3)."""
        images: Tensor = self.decoder(latents, shift)
        return images.permute(0, 2, 3, 1)


def _latents(first: nn.Module, shifts: Tensor) -> dict[str, Tensor]:
    """Some inputs of a network of latents."""
    assert isinstance(first, nn.Conv2d)  # noqa: S101
    return {"latents": torch.zeros(2, first.in_channels, 6, 10), "shift": shifts.detach()[[0, 0]]}


def exported(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    sizes: Mapping[str, Any],
    output: str | Sequence[str],
) -> bytes:
    """A module as ONNX.

    Args:
        module: in evaluation mode.
        inputs: examples, by name, in the order of the module's arguments.
        sizes: axes of each that may have any size.
        output: its name, or those of several.

    Raises:
        MismatchError: if torch cannot export it.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                module,
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=[output] if isinstance(output, str) else list(output),
                dynamic_shapes=tuple(sizes.values()),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # whatever a classifier of others does
        raise codecframe.MismatchError(f"the network cannot be exported: {error}") from error
    finally:
        logging.disable(disabled)
    return _without_notes(program.model_proto)


def _without_notes(model: onnx.ModelProto) -> bytes:
    """Without what torch notes of where each node came from: stack traces, with paths."""
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in (model, graph, *graph.node, *values):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return bytes(model.SerializeToString())


def packed(graph: bytes, external: Externalizer | None = None) -> bytes:
    """A graph with large kernels in `int8`, external ones excepted."""
    model = onnx.load_from_string(graph)
    nodes = model.graph.node
    kernels = {n.input[1] for n in nodes if n.op_type in ("Conv", "Gemm") and _by_output(n)}
    casts = []
    for constant in list(model.graph.initializer):
        weight = numpy_helper.to_array(constant)
        is_kernel = constant.name in kernels and weight.size >= SMALL
        if not is_kernel or (external and external.key(constant)):
            continue
        stored, scale = quantised(weight)
        model.graph.initializer.remove(constant)
        names = [f"{constant.name}.{part}" for part in ("int8", "scale", "cast")]
        model.graph.initializer.append(numpy_helper.from_array(stored, names[0]))
        model.graph.initializer.append(numpy_helper.from_array(scale, names[1]))
        casts += [
            helper.make_node("Cast", [names[0]], [names[2]], to=TensorProto.FLOAT),
            helper.make_node("Mul", [names[2], names[1]], [constant.name]),
        ]
    rest = list(nodes)
    del nodes[:]
    nodes.extend([*casts, *rest])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _by_output(node: onnx.NodeProto) -> bool:
    """Whether a node's kernel has an output a row."""
    return node.op_type == "Conv" or any(a.name == "transB" and a.i for a in node.attribute)


def quantised(weight: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """(`int8` weights, their scales), one scale for each output (the first axis)."""
    others = tuple(range(1, weight.ndim))
    scale = np.maximum(np.abs(weight).max(axis=others, keepdims=True), 1e-12) / 127
    return np.round(weight / scale).astype(np.int8), scale.astype(np.float32)


def eval_mode(module: nn.Module) -> nn.Module:
    """The module in evaluation mode on the CPU in `float32`."""
    return module.eval().to("cpu", torch.float32)
