"""Tiny classifiers as ONNX files and torch modules: the mean of each channel, then five classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

WEIGHTS = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
LABELS = ("ash", "birch", "cedar", "fir", "oak")


def reference(images: list[Any]) -> np.ndarray:
    """The scores that all of them give for `uint8` images scaled to 0..1."""
    means = np.stack([image.reshape(-1, 3).mean(axis=0) / 255 for image in images])
    return (means @ WEIGHTS).astype(np.float32)


def onnx_file(
    path: Path,
    shape: tuple[Any, ...] = ("n", 3, "h", "w"),
    *,
    dtype: str = "FLOAT",
    softmax: bool = False,
    pooled_map: bool = False,
) -> Path:
    """Write an ONNX classifier with an input of that shape and type."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    axes = [1, 2] if shape[3] == 3 else [2, 3]
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["cast", "factor"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["logits"]),
    ]
    output = "logits"
    if softmax:
        nodes.append(helper.make_node("Softmax", [output], ["chances"], axis=-1))
        output = "chances"
    if pooled_map:
        nodes.append(helper.make_node("Unsqueeze", [output, "map_axes"], ["map"]))
        output = "map"
    factor = np.float32(1 / 255 if dtype == "UINT8" else 1)
    constants = {
        "weights": WEIGHTS,
        "axes": np.array(axes),
        "factor": factor,
        "map_axes": np.array([2, 3]),
    }
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("images", getattr(TensorProto, dtype), shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def ending(
    path: Path, *operators: str, columns: int = 5, axis: int = -1, function: bool = False
) -> Path:
    """Write an ONNX classifier whose scores, `columns` of `reference`, go through `operators`.

    With `function` these operators are in a function of the model's own.
    """
    import onnx
    from onnx import TensorProto, helper

    onnx_file(path)
    model = onnx.load(path)
    (weights,) = [one for one in model.graph.initializer if one.name == "weights"]
    weights.CopyFrom(onnx.numpy_helper.from_array(WEIGHTS[:, :columns].copy(), "weights"))
    values = ["logits", *(f"value{i}" for i in range(1, len(operators) + 1))]
    nodes = [
        helper.make_node(operator, [source], [made], **_attributes(operator, axis))
        for operator, source, made in zip(operators, values[:-1], values[1:], strict=True)
    ]
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info(values[-1], TensorProto.FLOAT, ["n", columns])
    )
    if function:
        made = [helper.make_opsetid("", 18)]
        inside = helper.make_function("own", "End", [values[0]], [values[-1]], nodes, made)
        model.functions.append(inside)
        model.opset_import.append(helper.make_opsetid("own", 1))
        nodes = [helper.make_node("End", [values[0]], [values[-1]], domain="own")]
    model.graph.node.extend(nodes)
    onnx.save(model, path)
    return path


def _attributes(operator: str, axis: int) -> dict[str, Any]:
    if operator == "Cast":
        return {"to": 1}
    return {"axis": axis} if operator in {"Softmax", "LogSoftmax"} else {}


def two_outputs(path: Path) -> Path:
    """Write an ONNX classifier of three classes whose second output has the scores; the first has
    five features, a third the number of the class.
    """
    import onnx
    from onnx import TensorProto, helper

    onnx_file(path)
    model = onnx.load(path)
    model.graph.node.extend(
        [
            helper.make_node("Identity", ["logits"], ["features"]),
            helper.make_node("Identity", ["means"], ["shades"]),
            helper.make_node("ArgMax", ["means"], ["number"], axis=1, keepdims=0),
        ]
    )
    del model.graph.output[:]
    info = helper.make_tensor_value_info
    model.graph.output.extend(
        [
            info("features", TensorProto.FLOAT, ["n", 5]),
            info("shades", TensorProto.FLOAT, ["n", 3]),
            info("number", TensorProto.INT64, ["n"]),
        ]
    )
    onnx.save(model, path)
    return path


def copying_model(path: Path, shape: tuple[Any, ...]) -> Path:
    """Write an ONNX file that gives its input back."""
    import onnx
    from onnx import TensorProto, helper

    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "copy",
        [info("x", TensorProto.FLOAT, shape)],
        [info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def torch_module() -> Any:
    """The same classifier as a torch module."""
    import torch

    linear = torch.nn.Linear(3, 5, bias=False)
    linear.weight.data = torch.from_numpy(WEIGHTS.T.copy())
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), linear)


def detector(path: Path, side: int) -> None:
    """An ONNX file for images of side x side: a box (2, 2, 20, 20), whose scores for three classes
    are the means of the channels.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["scores"]),
        helper.make_node("Mul", ["scores", "zero"], ["none"]),
        helper.make_node("ReduceMean", ["none", "last"], ["nothing"]),
        helper.make_node("Add", ["constant", "nothing"], ["boxes"]),
    ]
    given = {
        "axes": np.array([2, 3]), "one": np.array([1]), "last": np.array([2]),
        "constant": np.float32([[[2, 2, 20, 20]]]), "zero": np.float32(0),
    }  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("boxes", "scores")],
        [numpy_helper.from_array(value, name) for name, value in given.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, path)
