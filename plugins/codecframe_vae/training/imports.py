"""ONNX graphs that `export` wrote, as torch modules again: to differentiate and train on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

import codecframe


class GraphModule(nn.Module):
    """A network as `export` wrote it. Kernels that are stored as `int8` are `float32` here; what is
    constant and not whole numbers is a parameter.

    Args:
        graph: ONNX, of one input and one output.

    Raises:
        DataError: if it has operators that `export` does not write.
    """

    def __init__(self, graph: bytes) -> None:
        super().__init__()
        parts = onnx.load_from_string(graph).graph
        constants = {
            tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
            for tensor in parts.initializer
        }
        self._input, self._output = parts.input[0].name, parts.output[0].name
        self._steps: list[_Step] = []
        for node in parts.node:
            step = _Step(node)
            if all(name in constants for name in step.inputs):
                constants[step.output] = step(constants)
            else:
                self._steps.append(step)
        used = {name for step in self._steps for name in step.inputs}
        for name in sorted(used & constants.keys()):
            value = constants[name]
            if value.is_floating_point():
                self.register_parameter(name, nn.Parameter(value, requires_grad=False))
            else:
                self.register_buffer(name, value)

    def constants(self) -> list[tuple[str, tuple[Tensor, ...]]]:
        """(operator, its inputs that are constant) of each node that has some, in order."""
        known = dict(self.named_parameters())
        found = (
            (step.operator, tuple(known[name] for name in step.inputs if name in known))
            for step in self._steps
        )
        return [(operator, inputs) for operator, inputs in found if inputs]

    def forward(self, values: Tensor) -> Tensor:
        """The graph's output; `values` may be of any type."""
        known = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        known[self._input] = values
        for step in self._steps:
            known[step.output] = step(known)
        return known[self._output]


class _Step:
    """One operator."""

    def __init__(self, node: onnx.NodeProto) -> None:
        if node.op_type not in _OPERATORS:
            raise codecframe.DataError("graph", f"has the operator {node.op_type}")
        self.operator = node.op_type
        self.inputs = list(node.input)
        self.output = node.output[0]
        self._run = _OPERATORS[node.op_type]
        self._attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def __call__(self, known: dict[str, Tensor]) -> Tensor:
        return self._run(*(known[name] for name in self.inputs), **self._attributes)


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    strides: list[int],
    pads: list[int],
    **_: Any,
) -> Tensor:
    return functional.conv2d(x, weight, bias, strides, pads[:2])


def _pooled(x: Tensor, *, kernel_shape: list[int], strides: list[int], **_: Any) -> Tensor:
    return functional.max_pool2d(x, kernel_shape, strides, ceil_mode=True)


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": torch.add,
    "Cast": lambda x, to: x.float(),
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Conv": _convolution,
    "Div": torch.div,
    "Flatten": lambda x: x.flatten(1),
    "Gemm": lambda x, weight, bias, transB: functional.linear(x, weight, bias),  # noqa: N803
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "GlobalMaxPool": lambda x: x.amax((2, 3), keepdim=True),
    "Identity": lambda x: x,
    "MaxPool": _pooled,
    "Mul": torch.mul,
    "Relu": torch.relu,
    "Sub": torch.sub,
    "Transpose": lambda x, perm: x.permute(perm),
    "Unsqueeze": lambda x, axes: x[(..., *[None] * len(axes))],
}
