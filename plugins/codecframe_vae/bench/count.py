"""What a network costs, counted from its ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import codecframe
from codecframe import require
from codecframe_vae.bench.baselines import INSTALL


def count(graph: bytes, size: int) -> tuple[int, int]:
    """(parameters, multiply-adds for one image of size x size pixels) of a network of images.

    Those of convolutions and matrix products, biases among the parameters. Additions,
    activations and pooling are not counted.

    Raises:
        DataError: if the graph does not take such images.
    """
    onnx = require("onnx", INSTALL)
    model = onnx.load_from_string(graph)
    kinds = KeyError, ValueError, onnx.shape_inference.InferenceError
    with codecframe.as_data_error("network", *kinds, saying="takes no images"):
        axes = model.graph.input[0].type.tensor_type.shape.dim
        for axis, side in zip(axes, (1, size, size, 3), strict=True):
            axis.dim_value = side
        shapes = _shapes(onnx, model)
        nodes = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm", "MatMul")]
        parameters = sum(math.prod(shapes[name]) for node in nodes for name in node.input[1:])
        return parameters, sum(_products(node, shapes) for node in nodes)


def _shapes(onnx: Any, model: Any) -> dict[str, list[int]]:
    """Shapes of all constants and values, given that of the input."""
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {one.name: list(one.dims) for one in graph.initializer}
    for value in (*graph.value_info, *graph.output):
        shapes[value.name] = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
    return shapes


def _products(node: Any, shapes: Mapping[str, Sequence[int]]) -> int:
    """Multiply-adds of a node."""
    outputs, weight = math.prod(shapes[node.output[0]]), shapes[node.input[1]]
    if node.op_type == "Conv":  # (outputs, inputs of the group, height, width)
        return outputs * math.prod(weight[1:])
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return outputs * (weight[1] if transposed else weight[0])
