"""The networks around a cut as ONNX graphs, in the form of `codecframe_vae.training.export`."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import codecframe
from codecframe_vae.bottleneck.model import Bottleneck, Encoder
from codecframe_vae.bottleneck.task import LogProbabilities
from codecframe_vae.training.export import SMALL, quantised
from codecframe_vae.training.external_weights import Externalizer

_OPSET = 18


class _Analysis(nn.Module):
    """`images`, uint8 (n, h, w, 3), to `latents`, float32."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self._encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        """Real latents."""
        return self._encoder(images.permute(0, 3, 1, 2))  # type: ignore[no-any-return]


class _Recognition(nn.Module):
    """`latents` and `shift`, float32, to `logits`."""

    def __init__(self, model: Bottleneck, logs: LogProbabilities) -> None:
        super().__init__()
        self._adapter, self._tail, self._logs = model.adapter, model.tail, logs

    def forward(self, latents: Tensor, shift: Tensor) -> Tensor:
        """Logarithms of the classes' probabilities."""
        return self._logs(self._tail(self._adapter(latents, shift))[0])


def encoder_graph(encoder: Encoder, images: Tensor) -> bytes:
    """The encoder, for images of any size.

    Args:
        encoder: in evaluation mode.
        images: some, `uint8`, (n, 3, height, width).
    """
    example = images[:2].permute(0, 2, 3, 1).contiguous()
    any_size = dict.fromkeys((0, 1, 2), torch.export.Dim.AUTO)
    return _graph(_Analysis(encoder), {"images": example}, {"images": any_size}, "latents")


def head_graph(
    model: Bottleneck, logs: LogProbabilities, images: Tensor, external: Externalizer
) -> bytes:
    """Adapter and tail, for latents of images of the final size; external kernels stay."""
    with torch.no_grad():
        latents = model.encoder(images[:2])
    given = {"latents": latents, "shift": model.adapter.shifts.detach()[[0, 0]]}
    batches = {name: {0: torch.export.Dim.AUTO} for name in given}
    return _packed(_graph(_Recognition(model, logs), given, batches, "logits"), external)


def _graph(
    module: nn.Module, inputs: dict[str, Tensor], dynamic: dict[str, Any], output: str
) -> bytes:
    """A module as ONNX.

    Raises:
        MismatchError: if torch cannot export it.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=[output],
                dynamic_shapes=tuple(dynamic.values()),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # whatever the classifier does
        raise codecframe.MismatchError(f"the classifier cannot be exported: {error}") from error
    finally:
        logging.disable(disabled)
    return _without_notes(program.model_proto)  # type: ignore[union-attr]


def _without_notes(model: onnx.ModelProto) -> bytes:
    """Without what torch notes of where each node came from: stack traces, with paths."""
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in (model, graph, *graph.node, *values):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return bytes(model.SerializeToString())


def _packed(graph: bytes, external: Externalizer) -> bytes:
    """The same with large kernels in `int8`, as in `codecframe_vae.training.export`."""
    model = onnx.load_from_string(graph)
    nodes = model.graph.node
    kernels = {n.input[1] for n in nodes if n.op_type in ("Conv", "Gemm") and _by_output(n)}
    casts = []
    for constant in list(model.graph.initializer):
        weight = numpy_helper.to_array(constant)
        if constant.name not in kernels or weight.size < SMALL or external.key(constant):
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
