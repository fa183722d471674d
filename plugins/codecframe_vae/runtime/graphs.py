"""What ONNX graphs in model files may hold: they come from strangers, and are looked at unrun.

A graph is a straight line of operations: no loops, branches or functions, no data from other files.
onnxruntime alone cannot tell that before it runs one, and the package onnx may be missing, so
the few protobuf fields that matter are read here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe import require

Field = tuple[int, int, bytes]
"""(number, value, content): a varint's value, or the content of a field with a length."""

_GRAPH, _FUNCTIONS = 7, 25  # of ModelProto
_NODE, _INITIALIZER, _SPARSE_INITIALIZER = 1, 5, 15  # of GraphProto
_OPERATOR, _ATTRIBUTE, _DOMAIN = 4, 5, 7  # of NodeProto
_SUBGRAPHS = (6, 11)  # of AttributeProto
_TENSOR_NAME, _EXTERNAL_DATA, _LOCATION = 8, 13, 14  # of TensorProto
_DOMAINS = (b"", b"ai.onnx", b"com.microsoft")
_FORBIDDEN = frozenset({b"Loop", b"Scan", b"If", b"SequenceMap"})
_MOST_NODES = 20_000


def check_graph(model: bytes, external: Collection[str]) -> None:
    """Refuse what a network does not need.

    Args:
        model: an ONNX model.
        external: names of the constants whose values the model file may leave out.

    Raises:
        ValueError: if it is not one, or is refused; says why.
    """
    graphs = [content for number, _, content in _fields(model) if number == _GRAPH]
    if len(graphs) != 1:
        raise ValueError("is not an ONNX model")
    if any(number == _FUNCTIONS for number, _, _ in _fields(model)):
        raise ValueError("has functions of its own")
    nodes = 0
    for number, _, content in _fields(graphs[0]):
        if number == _NODE:
            nodes += 1
            if nodes > _MOST_NODES:
                raise ValueError(f"has more than {_MOST_NODES:,} operations")
            _check_node(content)
        elif number in (_INITIALIZER, _SPARSE_INITIALIZER):
            _check_constant(content, external)


def _check_node(node: bytes) -> None:
    for number, _, content in _fields(node):
        if number == _OPERATOR and content in _FORBIDDEN:
            raise ValueError(f"has a {content.decode()}: loops and branches are not run")
        if number == _DOMAIN and content not in _DOMAINS:
            raise ValueError("has operations that are not ONNX's")
        if number == _ATTRIBUTE and any(part in _SUBGRAPHS for part, _, _ in _fields(content)):
            raise ValueError("has graphs within its operations")


def _check_constant(tensor: bytes, external: Collection[str]) -> None:
    name, is_elsewhere = "", False
    for number, value, content in _fields(tensor):
        if number == _TENSOR_NAME:
            name = content.decode("utf-8", "replace")
        is_elsewhere |= number == _EXTERNAL_DATA or (number == _LOCATION and value != 0)
    if is_elsewhere and name not in external:
        raise ValueError("has constants that lie in other files")


def _fields(message: bytes) -> Iterator[Field]:
    """The fields of a protobuf message.

    Raises:
        ValueError: if it is not one.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        value, content = 0, b""
        if kind == 0:
            value, at = _varint(message, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            length, at = _varint(message, at)
            content = message[at : at + length]
            at += length
        else:
            raise ValueError("is not an ONNX model")
        if at > end:
            raise ValueError("is cut short")
        yield number, value, content


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends)."""
    value = 0
    for place in range(10):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at
    raise ValueError("is cut short")


def with_constants(graph: bytes, values: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """An ONNX graph with other values of some of its constants.

    Raises:
        KeyError: if it has no constant of one of these names.
        DependencyError: if the package onnx is missing.
    """
    onnx: Any = require("onnx", "codecframe[onnx]")
    helper = require("onnx.numpy_helper", "codecframe[onnx]")
    model = onnx.load_from_string(graph)
    known = {constant.name: constant for constant in model.graph.initializer}
    for name, value in values.items():
        known[name].CopyFrom(helper.from_array(np.ascontiguousarray(value, np.float32), name))
    return bytes(model.SerializeToString())
