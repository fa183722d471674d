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
