"""How many symbols of the learned codec differ from those that torch makes.

The encoder's graph is run node by node by torch in float32, and by onnxruntime, as the codec does:
in float32, and in 8-bit integers. On the test images of CIFAR-10:
`python benchmarks/encoder_symbols.py [MODEL]`, with CODECFRAME_DATA set.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional

import codecframe
from codecframe.images import CifarSet
from codecframe_vae.runtime.model import Model


def conv(x: Any, weight: Any, bias: Any, strides: list[int], pads: list[int], **_: Any) -> Any:
    top, left, bottom, right = pads
    return functional.conv2d(functional.pad(x, (left, right, top, bottom)), weight, bias, strides)


OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": torch.add,
    "Cast": lambda x, to: x.float(),
    "Conv": conv,
    "Div": torch.div,
    "Identity": lambda x: x,
    "MaxPool": lambda x, kernel_shape, strides, **_: functional.max_pool2d(
        x, kernel_shape, strides
    ),
    "Relu": torch.relu,
    "Sub": torch.sub,
    "Transpose": lambda x, perm: x.permute(perm),
}


def run_in_torch(graph: onnx.GraphProto, images: np.ndarray) -> np.ndarray:
    """The output of a graph with one input."""
    values = {c.name: torch.from_numpy(numpy_helper.to_array(c).copy()) for c in graph.initializer}
    values[graph.input[0].name] = torch.from_numpy(images)
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        inputs = [values[name] for name in node.input]
        values[node.output[0]] = OPERATORS[node.op_type](*inputs, **attributes)
    output: np.ndarray = values[graph.output[0].name].numpy()
    return output


def main() -> None:
    bundled = resources.files("codecframe_vae") / "models" / "cifar10-vae.safetensors"
    model = Model(Path(sys.argv[1] if len(sys.argv) > 1 else str(bundled)))
    try:
        images = CifarSet.open("cifar10", "test").images
    except codecframe.DataError as error:
        print(f"left out: {error}")
        return
    graph = onnx.load_from_string(model.graph("encoder")).graph
    with torch.inference_mode():
        batches = np.split(images, range(500, len(images), 500))
        theirs = np.concatenate([run_in_torch(graph, batch) for batch in batches])
    print(f"{len(images)} images")
    for int8 in (False, True):
        print(f"{'int8' if int8 else 'float32'}:")
        compare(model, np.stack(model.analyse(list(images), int8=int8)), theirs)


def compare(model: Model, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Print how far real latents are from others, and how many symbols differ at each level."""
    print(f"largest difference of a latent {np.abs(ours - theirs).max():.2g}")
    for level in range(model.manifest.levels):
        gain = model.arrays["levels.up"][level][:, None, None]
        context = model.context(level)
        differ = context.clip(ours * gain) != context.clip(theirs * gain)
        print(f"level {level:2d}: {differ.sum()} of {differ.size} symbols differ")


if __name__ == "__main__":
    main()
