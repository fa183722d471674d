"""Heads from ONNX files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe import Image, Preprocess, cpu_count, require
from codecframe.core.registry import missing
from codecframe_onnx.graph import read_kind

_INSTALL = "codecframe[onnx]"
_TORCH = "codecframe[train]"
FloatArray = npt.NDArray[np.float32]
_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_SCORES = {"tensor(float)", "tensor(float16)", "tensor(double)", "tensor(bfloat16)"}


class OnnxHead(codecframe.ClassifierHead):
    """An ONNX classifier: one input of images, scores as an output.

    Args:
        path: the model file.
        preprocess: from images to the model's input. What it does not say is read off the model:
            layout, uint8 or float, and the size.
        labels: class names, one an output, or a file with one a line; by default those in the
            model's metadata.
        name: what to call it; by default the file's name.
        outputs: what the model gives, see `codecframe.ClassifierHead`. By default the graph shows
            it: a softmax or sigmoid at its end is read, with the package `onnx`.
        output: name of the output with the scores, where there are several.
        threads: threads a run takes; by default one a core.

    Raises:
        DataError: if the file is not an ONNX model.
        MismatchError: if the model does not take images, or not of the size that was asked for; if
            it is not clear which output has the scores, or what they mean.
        DependencyError: if onnxruntime is not installed; or onnx, where `outputs` is not given.
    """

    summary = "an ONNX model"
    requires = {"onnxruntime": _INSTALL}  # noqa: RUF012

    def __init__(
        self,
        path: str | Path,
        *,
        preprocess: Preprocess | Mapping[str, Any] | None = None,
        labels: Sequence[str] | str | Path = (),
        name: str | None = None,
        outputs: str | None = None,
        output: str | int | None = None,
        threads: int | None = None,
    ) -> None:
        self._path = str(path)
        self._session = _open(self._path, threads or cpu_count())
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES:
            found = ", ".join(f"{i.name}: {i.type}" for i in inputs)
            raise codecframe.MismatchError(f"{path}: takes ({found}), not one batch of images")
        self._input = inputs[0].name
        self._type = _TYPES[inputs[0].type]
        layout, count, shape = _read_shape(str(path), inputs[0].shape)
        said = self._session.get_modelmeta().custom_metadata_map
        given = codecframe.HeadOptions(
            preprocess=None if preprocess is None else Preprocess.of(preprocess).changed(),
            outputs=outputs,
            output=output,
        ).completed(said.get(codecframe.HeadOptions.KEY), str(path))
        preprocess, outputs, output = given.preprocess, given.outputs, given.output
        labels = labels or given.labels or _listed(said, "labels")
        if shape is None and preprocess is None and (size := _listed(said, "size")):
            preprocess = {"resize": min(map(int, size)), "crop": [int(side) for side in size]}
        dtype = "uint8" if self._type == "uint8" else "float32"
        super().__init__(
            name or Path(path).stem,
            preprocess=Preprocess.for_input(preprocess, shape, layout=layout, dtype=dtype),
            labels=labels,
            outputs=outputs,
            output=output,
            batch_size=count or 32,
            pad=count is not None,
        )
        self._shapes = _scores_shapes(str(path), self._session.get_outputs())
        self._scores_name = self.choose_output(self._shapes)
        self._learn_outputs(str(path))

    def _learn_outputs(self, path: str) -> None:
        """Read off the graph what the scores are; a description does without the package `onnx`."""
        if self.outputs_unsaid or not missing({"onnx": _INSTALL}):
            self.learn_outputs(*read_kind(path, self._scores_name, _INSTALL))
        shape = self._shapes[self._scores_name]
        if len(shape) >= 2 and all(side == 1 for side in shape[1:]):
            self.check_one_column(shape)

    def run(self, values: Any) -> Any:
        """The model's output with the scores."""
        given = {self._input: values.astype(self._type, copy=False)}
        return self._session.run([self._scores_name], given)[0]

    def torch_model(self) -> Callable[[Any], Any]:
        """The graph as a torch module; its weights are copies of the file's.

        Raises:
            MismatchError: if the graph calculates with integers, has operators that are not known
                here, or gives something else in torch.
            DependencyError: if torch or onnx is not installed.
        """
        return self._network

    @cached_property
    def _network(self) -> Callable[[Any], Any]:
        require("torch", _TORCH)
        from codecframe_onnx.network.module import checked, network

        height, width = self.input_shape or (64, 64)
        count = self._batch_size if self._pad else 1
        noise = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
        values = self.model_input(list(noise))
        module = network(self._path, self._scores_name)
        half = self._type == "float16"
        return checked(module, values, self.run(values), self.name, half=half)

    def pixel_gradients(
        self, images: Sequence[Image], targets: FloatArray
    ) -> list[FloatArray] | None:
        """See `codecframe.TaskHead`: of the graph in torch, where torch can follow it."""
        if missing({"torch": _TORCH, "onnx": _INSTALL}):
            return None
        try:
            return super().pixel_gradients(images, targets)
        except codecframe.MismatchError:
            return None

    def details(self) -> dict[str, Any]:
        """See `codecframe.TaskHead`: also the model's inputs and outputs."""
        inputs = [_described(one) for one in self._session.get_inputs()]
        outputs = [
            _described(one) + (", the scores" if one.name == self._scores_name else "")
            for one in self._session.get_outputs()
        ]
        return {"inputs": inputs, "outputs": outputs, **super().details()}


def _scores_shapes(path: str, outputs: Sequence[Any]) -> dict[str, tuple[Any, ...]]:
    """Shapes of the outputs that hold floating-point numbers.

    Raises:
        MismatchError: if there is none.
    """
    shapes = {one.name: tuple(one.shape) for one in outputs if one.type in _SCORES}
    if not shapes:
        found = ", ".join(_described(one) for one in outputs)
        raise codecframe.MismatchError(f"{path}: gives {found}, not scores")
    return shapes


def _described(value: Any) -> str:
    """An input or output in words."""
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    return f"{value.name}: {kind} ({', '.join(map(str, value.shape))})"


def _listed(metadata: Mapping[str, str], key: str) -> list[str]:
    """A list in the file's metadata, written as JSON; empty if there is none."""
    try:
        value = json.loads(metadata.get(key, "[]"))
    except ValueError:
        return []
    return [str(item) for item in value] if isinstance(value, list) else []


def _open(path: str, threads: int) -> Any:
    runtime = require("onnxruntime", _INSTALL)
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
