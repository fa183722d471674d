"""Encoders of others as ONNX graphs with random weights: speed does not depend on weights.

All take `images`, uint8 (n, height, width, 3), as the learned codec's encoder does. Batch
normalisation is part of the convolutions, as in any network that is shipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from codecframe import require

INSTALL = "codecframe[train]"
_OPSET, _IR = 17, 9
_MAPS = ["n", "c", "h", "w"]


def resnet18(layers: int = 4) -> bytes:
    """ResNet-18 as it is used for CIFAR (He et al., CVPR 2016; first kernel 3x3, no pooling).

    Args:
        layers: of its four layers of two blocks each; with all of them, the classifier as well.
    """
    graph = _Graph()
    x, width = graph.relu(graph.convolution(graph.image(), 3, 64, 3)), 64
    for layer in range(layers):
        outputs, stride = 64 << layer, 1 if layer == 0 else 2
        x = graph.block(x, width, outputs, stride)
        x = graph.block(x, outputs, outputs, 1)
        width = outputs
    if layers == 4:
        x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
        x = graph.add("Gemm", x, graph.weight(width, 10), graph.weight(10))
        return graph.finish(x, ["n", "classes"])
    return graph.finish(x, _MAPS)


def factorized(width: int = 128, latents: int = 192) -> bytes:
    """The analysis transform of bmshj2018-factorized (Balle et al., ICLR 2018), low rates."""
    graph = _Graph()
    x = graph.gdn(graph.convolution(graph.image(), 3, width, 5, 2), width)
    for _ in range(2):
        x = graph.gdn(graph.convolution(x, width, width, 5, 2), width)
    return graph.finish(graph.convolution(x, width, latents, 5, 2), _MAPS)


class _Graph:
    """A graph in the making; names of values are handed on."""

    def __init__(self) -> None:
        self._onnx = require("onnx", INSTALL)
        self._rng = np.random.default_rng(0)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def weight(self, *shape: int) -> str:
        """Random weights, positive so that a GDN's root exists."""
        values = self._rng.uniform(0, 2 / np.prod(shape[1:]), shape).astype(np.float32)
        return self._constant(values)

    def _constant(self, values: Any) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(values, name))
        return name

    def image(self) -> str:
        """The input as `float32`, (n, 3, height, width), about -2 to 2."""
        x = self.add("Cast", "images", to=self._onnx.TensorProto.FLOAT)
        x = self.add("Transpose", x, perm=[0, 3, 1, 2])
        x = self.add("Sub", x, self._constant(np.full((1, 3, 1, 1), 128, np.float32)))
        return self.add("Div", x, self._constant(np.full((1, 3, 1, 1), 64, np.float32)))

    def convolution(self, x: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> str:
        return self.add(
            "Conv",
            x,
            self.weight(outputs, inputs, kernel, kernel),
            self.weight(outputs),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
        )

    def relu(self, x: str) -> str:
        return self.add("Relu", x)

    def block(self, x: str, inputs: int, outputs: int, stride: int) -> str:
        """A residual block of two convolutions."""
        inner = self.relu(self.convolution(x, inputs, outputs, 3, stride))
        branch = self.convolution(inner, outputs, outputs, 3)
        if stride != 1 or inputs != outputs:
            x = self.convolution(x, inputs, outputs, 1, stride)
        return self.relu(self.add("Add", x, branch))

    def gdn(self, x: str, width: int) -> str:
        """x / sqrt(beta + gamma x ** 2): generalised divisive normalisation."""
        squares = self.add("Mul", x, x)
        return self.add("Div", x, self.add("Sqrt", self.convolution(squares, width, width, 1)))

    def finish(self, output: str, shape: list[str]) -> bytes:
        helper, kinds = self._onnx.helper, self._onnx.TensorProto
        images = helper.make_tensor_value_info("images", kinds.UINT8, ["n", "h", "w", 3])
        made = helper.make_tensor_value_info(output, kinds.FLOAT, shape)
        graph = helper.make_graph(self._nodes, "baseline", [images], [made], self._constants)
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR)
        self._onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
