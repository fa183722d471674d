"""ONNX files opened: their input, their outputs, and running them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import codecframe
from codecframe import Preprocess, cpu_count, require
from codecframe.core.registry import missing

INSTALL = "codecframe[onnx]"
_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_SCORES = {"tensor(float)", "tensor(float16)", "tensor(double)", "tensor(bfloat16)"}


class OnnxModel:
    """An ONNX model that takes one batch of images; a `codecframe.Model`.

    Args:
        path: the file.
        threads: threads a run takes; by default one a core.

    Attributes:
        name: the file's, without suffix.
        spec: the file.
        session: of onnxruntime.
        type: of the input's numbers: `float32`, `float16` or `uint8`.
        said: the file's metadata.
        shapes: of all outputs, by name.
        batch_size, pad: how many images it takes; exactly so many, if `pad`.

    Raises:
        DataError: if the file is not an ONNX model.
        MismatchError: if the model does not take images.
        DependencyError: if onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        self.spec = str(path)
        self.name = Path(path).stem
        self.session = _open(self.spec, threads or cpu_count())
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES:
            found = ", ".join(f"{i.name}: {i.type}" for i in inputs)
            raise codecframe.MismatchError(f"{path}: takes ({found}), not one batch of images")
        self._input = inputs[0].name
        self.type = _TYPES[inputs[0].type]
        self._layout, count, self._shape = _read_shape(self.spec, inputs[0].shape)
        self.batch_size, self.pad = count or 32, count is not None
        self.said: Mapping[str, str] = self.session.get_modelmeta().custom_metadata_map
        self.shapes: Mapping[str, Sequence[Any]] = {
            one.name: tuple(one.shape) for one in self.session.get_outputs()
        }

    def preprocess(self, given: Mapping[str, Any] | None) -> Preprocess:
        """What was asked for, completed by the file's layout, type and size.

        Raises:
            MismatchError: if the model does not take images of the size that was asked for.
        """
        if self._shape is None and given is None and (size := listed(self.said, "size")):
            given = {"resize": min(map(int, size)), "crop": [int(side) for side in size]}
        dtype = "uint8" if self.type == "uint8" else "float32"
        return Preprocess.for_input(given, self._shape, layout=self._layout, dtype=dtype)

    def run(self, values: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
        """The outputs by name; all, or some."""
        wanted = list(names or self.shapes)
        given = {self._input: values.astype(self.type, copy=False)}
        return dict(zip(wanted, self.session.run(wanted, given), strict=True))

    def score_shapes(self) -> dict[str, tuple[Any, ...]]:
        """Shapes of the outputs that hold floating-point numbers.

        Raises:
            MismatchError: if there is none.
        """
        outputs = self.session.get_outputs()
        shapes = {one.name: tuple(one.shape) for one in outputs if one.type in _SCORES}
        if not shapes:
            found = ", ".join(_described(one) for one in outputs)
            raise codecframe.MismatchError(f"{self.spec}: gives {found}, not scores")
        return shapes

    def torch_model(self) -> Any:
        """The graph in torch: a module from a tensor to its outputs of floating point, by name;
        None where torch or the package onnx is missing, or torch cannot follow the graph.
        """
        if missing({"torch": "codecframe[train]", "onnx": INSTALL}):
            return None
        from codecframe_onnx.network.module import network

        try:
            return network(self.spec, *self.score_shapes(), by_name=True)
        except codecframe.MismatchError:
            return None

    def details(self) -> dict[str, Any]:
        """Inputs and outputs in words."""
        return {
            "inputs": [_described(one) for one in self.session.get_inputs()],
            "outputs": [_described(one) for one in self.session.get_outputs()],
        }


def _described(value: Any) -> str:
    """An input or output in words."""
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    return f"{value.name}: {kind} ({', '.join(map(str, value.shape))})"


def listed(metadata: Mapping[str, str], key: str) -> list[str]:
    """A list in the file's metadata, written as JSON; empty if there is none."""
    try:
        value = json.loads(metadata.get(key, "[]"))
    except ValueError:
        return []
    return [str(item) for item in value] if isinstance(value, list) else []


def _open(path: str, threads: int) -> Any:
    runtime = require("onnxruntime", INSTALL)
    if not Path(path).is_file():
        raise codecframe.DataError(path, "no such file")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    # threads that wait must not keep cores busy: torch and the codecs want them
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: the file's warnings are not the user's
    with codecframe.as_data_error(path, saying="is not an ONNX model that runs here"):
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _read_shape(path: str, shape: Sequence[Any]) -> tuple[str, int | None, tuple[int, int] | None]:
    """(layout, fixed number of images, fixed (height, width)) of a model's input."""
    sides = [side if isinstance(side, int) and side > 0 else None for side in shape]
    if len(sides) != 4 or not {3, None} & {sides[1], sides[3]}:
        raise codecframe.MismatchError(
            f"{path}: takes an array of shape {shape}, not images of three channels"
        )
    layout = "nhwc" if sides[3] == 3 and sides[1] != 3 else "nchw"
    height, width = sides[1:3] if layout == "nhwc" else sides[2:4]
    return layout, sides[0], None if height is None or width is None else (height, width)
