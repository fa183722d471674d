"""What an ONNX graph shows of an output: whether softmax or sigmoid made it."""

from __future__ import annotations

from typing import Any

import codecframe
from codecframe import require

_THROUGH = {
    *("Cast", "DequantizeLinear", "Dropout", "Flatten", "Identity", "QuantizeLinear"),
    *("Reshape", "Squeeze", "Transpose", "Unsqueeze"),
}
"""Operators that change neither order nor meaning of the scores."""

_KINDS = {
    "HardSigmoid": "sigmoid",
    "LogSoftmax": "log-probabilities",
    "QLinearSigmoid": "sigmoid",
    "QLinearSoftmax": "probabilities",
    "Sigmoid": "sigmoid",
    "Softmax": "probabilities",
}
_AFTER = {
    ("Log", "probabilities"): "log-probabilities",
    ("Exp", "log-probabilities"): "probabilities",
}


def read_kind(path: str, output: str, install: str) -> tuple[str | None, str]:
    """What kind of output it is, as `codecframe.ClassifierHead` names it, and what shows it.

    Args:
        path: the model file.
        output: the output's name.
        install: what installs the package `onnx`.

    Returns:
        The kind and the operators that make it; None if the graph shows nothing.

    Raises:
        DependencyError: if the package `onnx` is not installed.
        DataError: if the file cannot be read.
    """
    onnx = require("onnx", install)
    with codecframe.as_data_error(path, saying="is not an ONNX model"):
        model = onnx.load(path, load_external_data=False)
        if model.functions:
            model = require("onnx.inliner", install).inline_local_functions(model)
    return _kind(model.graph, output)


def _kind(graph: Any, output: str) -> tuple[str | None, str]:
    makers = {name: node for node in graph.node for name in node.output}
    node = _maker(makers, output)
    if node is None:
        return None, ""
    if node.op_type in {"Log", "Exp"}:
        before = _maker(makers, node.input[0])
        kind = None if before is None else _AFTER.get((node.op_type, _of(before) or ""))
        return (
            kind,
            f"the graph ends in {node.op_type} of {'' if before is None else before.op_type}",
        )
    return _of(node), f"the graph ends in {node.op_type}"


def _maker(makers: dict[str, Any], value: str) -> Any:
    """The node that computes a value, before any that pass it on."""
    node = makers.get(value)
    for _ in range(len(makers)):
        if node is None or node.op_type not in _THROUGH:
            break
        node = makers.get(node.input[0]) if node.input else None
    return node


def _of(node: Any) -> str | None:
    """The kind that a node gives; a softmax over the images is none that is known."""
    axis = next((one.i for one in node.attribute if one.name == "axis"), None)
    return None if axis == 0 else _KINDS.get(node.op_type)
