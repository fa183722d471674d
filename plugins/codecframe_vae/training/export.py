"""Networks as ONNX graphs, written node by node.

Batch normalisation goes into the convolution before it. Encoders, which are small and decide the
symbols, keep `float32` kernels. Elsewhere large kernels are stored as `int8` with a scale for each
output, and brought back to `float32` when a graph is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from codecframe_vae.training.nets import Encoder, Head, SimpleDecoder

_OPSET, _IR = 17, 9
SMALL = 4096
"""Kernels with fewer weights stay as they are."""


def encoder_graph(encoder: Encoder) -> bytes:
    """`images`, uint8 (n, h, w, 3), to `latents`, float32 (n, C, h / 4, w / 4)."""
    graph = _Graph()
    x = graph.encoder(encoder, "images")
    return graph.finish({"images": _IMAGES}, x, "latents", ["n", "C", "h", "w"])


def head_graph(head: Head) -> bytes:
    """`latents` and `shift`, float32 (n, head), to `logits`, float32 (n, classes)."""
    graph = _Graph(small_kernels=True)
    x = graph.head(head, "latents", "shift")
    inputs = {"latents": _LATENTS, "shift": (TensorProto.FLOAT, ["n", "k"])}
    return graph.finish(inputs, x, "logits", ["n", "classes"])


def decoder_graph(decoder: SimpleDecoder) -> bytes:
    """`latents` and `shift`, float32 (n, width), to `images`, float32 (n, h, w, 3), 0..255."""
    graph = _Graph(small_kernels=True)
    x = graph.shifted(decoder.first, "latents", "shift")
    x = graph.add("Relu", x)
    for block in decoder.body:
        x = graph.add("Add", x, graph.module(block, x))
    x = graph.module(decoder.last, x)
    x = graph.add("Mul", x, graph.constant(np.float32(64)))
    x = graph.add("Add", x, graph.constant(np.float32(128)))
    x = graph.add("Transpose", x, perm=[0, 2, 3, 1])
    inputs = {"latents": _LATENTS, "shift": (TensorProto.FLOAT, ["n", "k"])}
    return graph.finish(inputs, x, "images", ["n", "h", "w", 3])


def classifier_graph(encoder: Encoder, head: Head, metadata: Mapping[str, Any]) -> bytes:
    """`images`, uint8 (n, h, w, 3), to `logits`, float32 (n, classes)."""
    graph = _Graph(small_kernels=True)
    latents = graph.encoder(encoder, "images")
    shift = graph.constant(head.shifts[-1:].detach().cpu().numpy())
    x = graph.head(head, latents, shift)
    return graph.finish({"images": _IMAGES}, x, "logits", ["n", "classes"], metadata)


_IMAGES = (TensorProto.UINT8, ["n", "h", "w", 3])
_LATENTS = (TensorProto.FLOAT, ["n", "C", "h", "w"])


class _Graph:
    """A graph in the making; names of values are handed on."""

    def __init__(self, *, small_kernels: bool = False) -> None:
        self._small_kernels = small_kernels
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: npt.NDArray[Any] | np.generic) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def encoder(self, encoder: Encoder, images: str) -> str:
        x = self.add("Cast", images, to=TensorProto.FLOAT)
        x = self.add("Transpose", x, perm=[0, 3, 1, 2])
        x = self.add("Sub", x, self.constant(encoder.mean.cpu().numpy()))
        x = self.add("Div", x, self.constant(encoder.std.cpu().numpy()))
        return self.module(encoder.body, x)

    def head(self, head: Head, latents: str, shift: str) -> str:
        x = self.shifted(head.first, latents, shift)
        x = self.module(head.body, x)
        means = self.add("GlobalAveragePool", x)
        peaks = self.add("GlobalMaxPool", x)
        pooled = self.add("Flatten", self.add("Concat", means, peaks, axis=1))
        weight, bias = (p.detach().cpu().numpy() for p in (head.last.weight, head.last.bias))
        return self.add("Gemm", pooled, self._kernel(weight), self.constant(bias), transB=1)

    def shifted(self, first: nn.Module, latents: str, shift: str) -> str:
        """A first layer, with the level's shift of each of its channels added."""
        axes = self.constant(np.array([2, 3]))
        return self.add("Add", self.module(first, latents), self.add("Unsqueeze", shift, axes))

    def module(self, module: nn.Module, x: str) -> str:
        """What the module makes of `x`."""
        if isinstance(module, nn.Sequential):
            for item in folded(module):
                x = self.module(item, x)
            return x
        if isinstance(module, nn.Conv2d):
            return self._convolution(module, x)
        if isinstance(module, nn.ReLU):
            return self.add("Relu", x)
        if isinstance(module, nn.MaxPool2d):
            size = [module.kernel_size] * 2
            return self.add("MaxPool", x, kernel_shape=size, strides=size, ceil_mode=1)
        if isinstance(module, nn.PixelShuffle):
            return self.add("DepthToSpace", x, blocksize=module.upscale_factor, mode="CRD")
        raise TypeError(f"no ONNX form of {type(module).__name__}")

    def _convolution(self, conv: nn.Conv2d, x: str) -> str:
        inputs = [x, self._kernel(conv.weight.detach().cpu().numpy())]
        if conv.bias is not None:
            inputs.append(self.constant(conv.bias.detach().cpu().numpy()))
        return self.add(
            "Conv",
            *inputs,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=[int(side) for side in conv.padding] * 2,
        )

    def _kernel(self, weight: npt.NDArray[np.float32]) -> str:
        if weight.size < SMALL or not self._small_kernels:
            return self.constant(weight)
        stored, scale = quantised(weight)
        cast = self.add("Cast", self.constant(stored), to=TensorProto.FLOAT)
        return self.add("Mul", cast, self.constant(scale))

    def finish(
        self,
        inputs: Mapping[str, tuple[int, list[Any]]],
        output: str,
        name: str,
        shape: list[Any],
        metadata: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The model as bytes, with `output` under its own name."""
        self._nodes.append(helper.make_node("Identity", [output], [name]))
        graph = helper.make_graph(
            self._nodes,
            "codecframe",
            [helper.make_tensor_value_info(k, kind, dims) for k, (kind, dims) in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
            self._constants,
        )
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR)
        for key, value in (metadata or {}).items():
            model.metadata_props.add(key=key, value=json.dumps(value))
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def folded(layers: nn.Sequential) -> list[nn.Module]:
    """The layers, each batch normalisation taken into the convolution before it."""
    kept: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            at = -2 if isinstance(kept[-1], nn.MaxPool2d) else -1
            kept[at] = fuse_conv_bn_eval(cast("nn.Conv2d", kept[at]), layer.eval())
        else:
            kept.append(layer)
    return kept


def quantised(weight: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """(`int8` weights, their scales), one scale for each output (the first axis)."""
    others = tuple(range(1, weight.ndim))
    scale = np.maximum(np.abs(weight).max(axis=others, keepdims=True), 1e-12) / 127
    return np.round(weight / scale).astype(np.int8), scale.astype(np.float32)


def eval_mode(module: nn.Module) -> nn.Module:
    """The module in evaluation mode on the CPU in `float32`."""
    return module.eval().to("cpu", torch.float32)
