"""The encoder in 8-bit integers, for cameras: post-training static quantisation by onnxruntime.

What is quantised are the convolutions that take most of the time, those above the latents'
resolution. The first stays `float32`: it is 1 % of the work and a quarter of the error. So do those
at the latents' resolution: with them in integers the rate rises, by 12 % at 0.26 bpp, as many
latents lie close to where rounding makes them zero.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

U8 = npt.NDArray[np.uint8]

_IMAGES, _BATCH = 1000, 100
"""Images that the ranges of activations are taken from, at most, and how many at a time."""
_PERCENTILE = 99.99
"""Of the activations, are not clipped."""


def int8_graph(graph: bytes, images: U8, *, whole: bool = False) -> bytes:
    """An encoder's graph in integers.

    Activations have one scale a tensor, kernels one an output. Kernels have 7 bits: products of
    two neighbours then fit 16 bits, in which processors without VNNI add them up.

    Args:
        graph: ONNX, as `export.encoder_graph` writes it.
        images: training images, (n, height, width, 3).
        whole: all but the first convolution, whatever its resolution, and sums; of networks of
            others.
    """
    model = onnx.load_from_string(graph)
    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"
    # the library prints what it does, where commands print their results
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        shaped, path = Path(folder) / "shaped.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(model, shaped, skip_optimization=True, skip_symbolic_shape=True)
        quantization.quantize_static(
            shaped,
            path,
            _Calibration(images),
            quant_format=quantization.QuantFormat.QOperator,
            nodes_to_quantize=_all_nodes(model.graph) if whole else _nodes(model.graph),
            activation_type=quantization.QuantType.QUInt8,
            per_channel=True,
            reduce_range=True,
            calibrate_method=quantization.CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": _PERCENTILE},
        )
        return path.read_bytes()


def _nodes(graph: onnx.GraphProto) -> list[str]:
    """Nodes to quantise: convolutions but the first, and their activations, before the last step
    down in resolution. Every `Encoder` has some."""
    last = max(number for number, node in enumerate(graph.node) if _reduces(node))
    above = graph.node[:last]
    convolutions = [node for node in above if node.op_type == "Conv"][1:]
    made = {node.output[0] for node in convolutions}
    activations = [n for n in above if n.op_type == "Relu" and n.input[0] in made]
    return [node.name for node in (*convolutions, *activations)]


def _all_nodes(graph: onnx.GraphProto) -> list[str]:
    """Convolutions but the first, activations and sums."""
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"][1:]
    return convolutions + [node.name for node in graph.node if node.op_type in ("Relu", "Add")]


def _reduces(node: onnx.NodeProto) -> bool:
    strides = next((list(a.ints) for a in node.attribute if a.name == "strides"), [1])
    return max(strides) > 1


class _Calibration(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Batches of training images, evenly spread; the library takes only batches of one size."""

    def __init__(self, images: U8) -> None:
        size = min(_BATCH, len(images))
        batches = min(_IMAGES, len(images)) // size
        some = images[np.linspace(0, len(images) - 1, batches * size).astype(int)]
        self._batches: Iterator[U8] = iter(np.split(some, batches))

    def get_next(self) -> dict[str, U8] | None:
        """The next batch, or nothing after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}
