"""An ONNX graph as a torch module: each node a layer, with the weights that it reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import codecframe
from codecframe import require
from codecframe_onnx.network import layers, maths, shapes
from codecframe_onnx.network.operators import OPERATORS, STATIC, Call, Value, plain

__all__ = ["OnnxNetwork", "checked", "layers", "maths", "network", "shapes"]

_INSTALL = "codecframe[onnx]"
_APART, _APART_HALF = 1e-3, 2e-2
"""Results may differ so much, relative to the largest; those of float16 more."""
_DOMAINS = {"", "ai.onnx"}
_QUANTISED = ("DynamicQuantizeLinear", "QuantizeLinear", "QLinear", "ConvInteger", "MatMulInteger")
_WEIGHTS = {
    "BatchNormalization": ("", "weight", "bias", "running_mean", "running_var"),
    "PRelu": ("", "weight"),
}
"""Names of an operator's inputs, where they are not weight and bias after the first."""
_STATISTICS = {"running_mean", "running_var"}


class Layer(nn.Module):
    """A node.

    Args:
        kind: its operator.
        call: its attributes.
        constants: by number of the input: those that the node reads.
        weights: tensors that nodes share, by the constant's name.
        names: the inputs' names.
    """

    def __init__(
        self,
        kind: str,
        call: Call,
        constants: Mapping[int, Value],
        weights: dict[str, nn.Parameter],
        names: Sequence[str],
    ) -> None:
        super().__init__()
        self.kind = kind
        self._call = call
        self._constants: dict[int, Value] = {}
        self._owned: dict[int, str] = {}
        for number, value in constants.items():
            static = number in STATIC[kind] or value.dtype.kind != "f" or value.ndim == 0
            if static:
                self._constants[number] = value
                continue
            own = _weight_name(kind, number)
            self._owned[number] = own
            if own in _STATISTICS:
                self.register_buffer(own, torch.from_numpy(np.array(value)))
                continue
            if names[number] not in weights:
                weights[names[number]] = nn.Parameter(torch.from_numpy(np.array(value)))
            self.register_parameter(own, weights[names[number]])

    def forward(self, *values: Value) -> Value:
        """What the node gives for its inputs that are not constants; None stands for those."""
        given = [
            value if value is not None else self._constant(at) for at, value in enumerate(values)
        ]
        return plain(OPERATORS[self.kind](self._call, *given))

    def _constant(self, number: int) -> Value:
        own = self._owned.get(number)
        return self._constants.get(number) if own is None else getattr(self, own)

    def shape_of(self, values: Sequence[Value]) -> Value:
        """Of a `Reshape`: the shape that is asked for."""
        return self._constants.get(1, values[1])

    def extra_repr(self) -> str:
        """The operator."""
        return self.kind


def _weight_name(kind: str, number: int) -> str:
    known = _WEIGHTS.get(kind, ("input", "weight", "bias"))
    return known[number] if number < len(known) else f"input_{number}"


@dataclass(frozen=True)
class _Step:
    """One layer in the order of work.

    Attributes:
        layer: its name.
        inputs: names of the values that it is given; empty for constants.
        outputs: names of those that it gives.
        done: names of values that no later step needs.
    """

    layer: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    done: tuple[str, ...] = ()


class OnnxNetwork(nn.Module):
    """An ONNX model's graph from its input to one of its outputs, or some.

    Weights are parameters, in float32 whatever the file's type; statistics of normalisation are
    buffers. A graph of a fixed number of images takes any, where it only has that number as the
    first size of what it reshapes.

    Args:
        path: the model file.
        outputs: names of the outputs.
        by_name: give them by name, even the only one.

    Raises:
        DataError: if the file cannot be read.
        MismatchError: if the graph has operators that are not known here, or calculates with
            integers.
        DependencyError: if the package onnx is not installed.
    """

    def __init__(self, path: str, *outputs: str, by_name: bool = False) -> None:
        super().__init__()
        graph, version = _loaded(path)
        constants = {one.name: _array(one) for one in graph.initializer}
        (images,) = [one for one in graph.input if one.name not in constants]
        first = images.type.tensor_type.shape.dim[0]
        self._fixed = first.dim_value if first.dim_value > 0 else None
        self._input, self._outputs, self._by_name = images.name, outputs, by_name
        nodes = _needed(graph.node, outputs)
        _check_known(path, nodes)
        weights: dict[str, nn.Parameter] = {}
        steps: list[_Step] = []
        with torch.no_grad():
            for node in nodes:
                call = Call(_attributes(node), version, len(node.output))
                if all(not name or name in constants for name in node.input):
                    constants.update(_folded(node, call, constants))
                    continue
                own = {
                    at: constants[name] for at, name in enumerate(node.input) if name in constants
                }
                layer = self._free_name(node.name or node.output[0])
                self.add_module(layer, Layer(node.op_type, call, own, weights, node.input))
                inputs = tuple("" if at in own else name for at, name in enumerate(node.input))
                steps.append(_Step(layer, inputs, tuple(node.output)))
        self._steps = _with_ends(steps, outputs)
        for output in constants.keys() & set(outputs):
            raise codecframe.MismatchError(f"{path}: {output} does not depend on the image")
        self.requires_grad_(requires_grad=True)
        self.eval()

    def _free_name(self, name: str) -> str:
        """A node's name as that of a layer: letters, digits and _, not used yet."""
        plain = re.sub(r"\W+", "_", name).strip("_") or "node"
        while hasattr(self, plain):
            plain += "_"
        return plain

    def forward(self, images: Tensor) -> Any:
        """The output, or outputs by name, for what the model takes, as `float32`."""
        values: dict[str, Value] = {self._input: images}
        for step in self._steps:
            layer = self.get_submodule(step.layer)
            given = [values.get(name) for name in step.inputs]
            if self._fixed is not None and layer.kind == "Reshape":
                found = self._reshaped(layer, given, images)
            else:
                found = layer(*given)
            outputs = found if isinstance(found, tuple) else (found,)
            values.update(zip(step.outputs, outputs, strict=False))
            for name in step.done:
                values.pop(name, None)
        found = {name: values[name] for name in self._outputs}
        return found if self._by_name else found[self._outputs[0]]

    def _reshaped(self, layer: Any, given: list[Value], images: Tensor) -> Value:
        """A `Reshape`, with the number of images for that which the graph was made for."""
        x = given[0]
        shape = layer.shape_of(given)
        if isinstance(x, Tensor) and x.shape[0] == images.shape[0] and shape[0] == self._fixed:
            shape = np.array([images.shape[0], *shape[1:]], object)
        return layer(x, shape)


def network(path: str, *outputs: str, by_name: bool = False) -> OnnxNetwork:
    """A model file as a module; see `OnnxNetwork`."""
    try:
        return OnnxNetwork(path, *outputs, by_name=by_name)
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise codecframe.MismatchError(f"{path}: torch cannot follow the graph: {error}") from error


def checked(
    module: OnnxNetwork, values: Any, wanted: Any, name: str, *, half: bool = False
) -> OnnxNetwork:
    """The module, if it gives what onnxruntime gives.

    Args:
        module: of a graph.
        values: some of its input.
        wanted: what onnxruntime makes of them.
        name: of the head, for errors.
        half: whether onnxruntime calculated in float16.

    Raises:
        MismatchError: if it fails, or the results are apart.
    """
    try:
        with torch.no_grad():
            found = module(torch.from_numpy(values).float()).numpy()
        apart = float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max()))
    except Exception as error:  # operators raise many kinds
        raise codecframe.MismatchError(
            f"head {name!r}: torch cannot follow the graph: {error}"
        ) from error
    if not apart <= (_APART_HALF if half else _APART):
        raise codecframe.MismatchError(
            f"head {name!r}: the graph gives something else in torch, {apart:.2g} apart"
        )
    return module


def _loaded(path: str) -> tuple[Any, int]:
    """(graph, version of its operators); functions are put in their place."""
    onnx = require("onnx", _INSTALL)
    try:
        model = onnx.load(path)
        if model.functions:
            model = require("onnx.inliner", _INSTALL).inline_local_functions(model)
    except Exception as error:  # protobuf and onnx raise many kinds
        raise codecframe.DataError(path, f"is not an ONNX model: {error}") from None
    version = next((one.version for one in model.opset_import if one.domain in _DOMAINS), 1)
    return model.graph, int(version)


def _needed(nodes: Sequence[Any], outputs: Sequence[str]) -> list[Any]:
    """The nodes that outputs depend on, in order."""
    wanted = set(outputs)
    found = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            found.append(node)
    return found[::-1]


def _check_known(path: str, nodes: Sequence[Any]) -> None:
    """Raise `MismatchError` for operators that are not known."""
    kinds = Counter(node.op_type for node in nodes)
    whole = sorted(kind for kind in kinds if kind.startswith(_QUANTISED))
    if whole:
        raise codecframe.MismatchError(
            f"{path}: calculates with integers ({', '.join(whole)}), which have no gradients: take "
            "the floating-point model that it was made from"
        )
    unknown = sorted(
        f"{node.domain}.{node.op_type}".lstrip(".")
        for node in {node.op_type: node for node in nodes}.values()
        if node.op_type not in OPERATORS or node.domain not in _DOMAINS
    )
    if unknown:
        raise codecframe.MismatchError(
            f"{path}: has operators that are not known here: {', '.join(unknown)}"
        )


def _array(initializer: Any) -> Value:
    """A constant's values; floating-point ones as float32."""
    from onnx import numpy_helper

    found = numpy_helper.to_array(initializer)
    is_float = found.dtype.kind == "f" or found.dtype.name == "bfloat16"
    return found.astype(np.float32) if is_float else found


def _attributes(node: Any) -> dict[str, Any]:
    """A node's attributes as plain values."""
    from onnx import AttributeProto, helper

    found: dict[str, Any] = {}
    for one in node.attribute:
        value = helper.get_attribute_value(one)
        if one.type == AttributeProto.TENSOR:
            value = _array(value)
        elif isinstance(value, bytes):
            value = value.decode(errors="replace")
        found[one.name] = list(value) if isinstance(value, (list, tuple)) else value
    return found


def _folded(node: Any, call: Call, constants: Mapping[str, Value]) -> dict[str, Value]:
    """What a node of constants gives, by name."""
    given = [constants.get(name) for name in node.input]
    static = STATIC[node.op_type]
    try:
        found = plain(OPERATORS[node.op_type](call, *given))
    except (AttributeError, TypeError, KeyError):  # an operator of tensors alone
        tensors = [
            one if one is None or at in static else torch.from_numpy(np.array(one))
            for at, one in enumerate(given)
        ]
        found = OPERATORS[node.op_type](call, *tensors)
    outputs = found if isinstance(found, tuple) else (found,)
    arrays = [one.numpy() if isinstance(one, Tensor) else one for one in outputs]
    return dict(zip(node.output, arrays, strict=False))


def _with_ends(steps: list[_Step], outputs: Sequence[str]) -> list[_Step]:
    """The steps, each with the values that may go after it."""
    last = {name: number for number, step in enumerate(steps) for name in step.inputs if name}
    ends: dict[int, list[str]] = {}
    for name, number in last.items():
        if name not in outputs:
            ends.setdefault(number, []).append(name)
    return [replace(step, done=tuple(ends.get(at, ()))) for at, step in enumerate(steps)]
