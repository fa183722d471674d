"""Networks as ONNX graphs.

Batch normalisation goes into the convolution before it. Encoders, which are small and decide the
symbols, keep `float32` kernels. Elsewhere large kernels are stored as `int8` with a scale for each
output, and brought back to `float32` when a graph is loaded.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
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
_IMAGES = torch.zeros(2, 3, 24, 40, dtype=torch.uint8)
MAPS = {"latents": (2, 3)}
"""Axes of latents that may have any size, for `exported`."""


def encoder_graph(encoder: Encoder) -> bytes:
    """`images`, uint8 (n, h, w, 3), to `latents`, float32 (n, C, h / 4, w / 4)."""
    return of_images(folded(encoder), "latents")


def head_graph(head: Head) -> bytes:
    """`latents` and `shift`, float32 (n, head), to `logits`, float32 (n, classes)."""
    first = head.first[0]
    return packed(exported(folded(head), _latents(first, head.shifts), "logits", MAPS))


def decoder_graph(decoder: SimpleDecoder | LinearDecoder) -> bytes:
    """`latents` and `shift`, float32 (n, width), to `images`, float32 (n, h, w, 3), 0..255."""
    return packed(exported(decoder, _latents(decoder.first, decoder.shifts), "images", MAPS))


def classifier_graph(model: PixelModel, metadata: Mapping[str, Any]) -> bytes:
    """`images`, uint8 (n, h, w, 3), to `logits`, float32 (n, classes)."""
    network = folded(model)
    with torch.no_grad():
        first: Any = network.head.first[0]
        first.bias += network.head.shifts[-1]
        network.head.shifts.zero_()
    stored = onnx.load_from_string(packed(of_images(network, "logits")))
    for key, value in metadata.items():
        stored.metadata_props.add(key=key, value=json.dumps(value))
    return bytes(stored.SerializeToString())


def _latents(first: nn.Module, shifts: Tensor) -> dict[str, Tensor]:
    """Some inputs of a network of latents."""
    assert isinstance(first, nn.Conv2d)  # noqa: S101
    return {"latents": torch.zeros(2, first.in_channels, 6, 10), "shift": shifts.detach()[[0, 0]]}


def of_images(network: nn.Module, output: str | Sequence[str], images: Tensor = _IMAGES) -> bytes:
    """A network of images, (n, 3, height, width), as a graph of `images` of any size as they are
    stored, uint8 (n, height, width, 3).

    Args:
        network: in evaluation mode.
        output: as `exported` takes it.
        images: some that it takes.
    """
    example = images[:2].permute(0, 2, 3, 1).contiguous()
    return exported(ChannelsLast(network), {"images": example}, output, {"images": (1, 2)})


def exported(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    output: str | Sequence[str],
    free: Mapping[str, Sequence[int]] | None = None,
) -> bytes:
    """A module as ONNX, for any number of images.

    Args:
        module: in evaluation mode.
        inputs: examples, by name, in the order of the module's arguments.
        output: its name, or those of several.
        free: further axes of inputs that may have any size.

    Raises:
        MismatchError: if torch cannot export it.
    """
    axes = {name: (0, *(free or {}).get(name, ())) for name in inputs}
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
                dynamic_shapes=tuple(
                    dict.fromkeys(any_size, torch.export.Dim.AUTO) for any_size in axes.values()
                ),
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

    def smaller(constant: onnx.TensorProto) -> Smaller | None:
        weight = numpy_helper.to_array(constant)
        is_kernel = constant.name in kernels and weight.size >= SMALL
        return (
            quantised(weight) if is_kernel and not (external and external.key(constant)) else None
        )

    return compacted(model, smaller)


Smaller = tuple[npt.NDArray[Any], npt.NDArray[np.float32] | None]
"""A constant as it is stored, and what that is multiplied by, if it is."""


def compacted(
    model: onnx.ModelProto, smaller: Callable[[onnx.TensorProto], Smaller | None]
) -> bytes:
    """A graph whose constants are stored as `smaller` says, and brought back to `float32` when it
    is loaded; None: as they are.
    """
    constants, casts = model.graph.initializer, []
    for constant in list(constants):
        if (found := smaller(constant)) is None:
            continue
        stored, scale = found
        name, kept = constant.name, f"{constant.name}.{stored.dtype}"
        constants.remove(constant)
        constants.append(numpy_helper.from_array(stored, kept))
        cast = name if scale is None else f"{name}.cast"
        casts.append(helper.make_node("Cast", [kept], [cast], to=TensorProto.FLOAT))
        if scale is not None:
            constants.append(numpy_helper.from_array(scale, f"{name}.scale"))
            casts.append(helper.make_node("Mul", [cast, f"{name}.scale"], [name]))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *rest])
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
