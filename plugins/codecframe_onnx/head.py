"""Heads from ONNX files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe import Image, Preprocess, require
from codecframe.core.registry import missing
from codecframe_onnx.graph import read_kind
from codecframe_onnx.model import INSTALL, OnnxModel, listed

_TORCH = "codecframe[train]"
FloatArray = npt.NDArray[np.float32]


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
    requires = {"onnxruntime": INSTALL}  # noqa: RUF012

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
        self._file = model = OnnxModel(path, threads)
        given = codecframe.HeadOptions(
            preprocess=None if preprocess is None else Preprocess.of(preprocess).changed(),
            outputs=outputs,
            output=output,
        ).completed(model.said.get(codecframe.HeadOptions.KEY), str(path))
        super().__init__(
            name or model.name,
            preprocess=model.preprocess(given.preprocess),
            labels=labels or given.labels or listed(model.said, "labels"),
            outputs=given.outputs,
            output=given.output,
            batch_size=model.batch_size,
            pad=model.pad,
        )
        self._shapes = model.score_shapes()
        self._scores_name = self.choose_output(self._shapes)
        self._learn_outputs(str(path))

    def _learn_outputs(self, path: str) -> None:
        """Read off the graph what the scores are; a description does without the package `onnx`."""
        if self.outputs_unsaid or not missing({"onnx": INSTALL}):
            self.learn_outputs(*read_kind(path, self._scores_name, INSTALL))
        shape = self._shapes[self._scores_name]
        if len(shape) >= 2 and all(side == 1 for side in shape[1:]):
            self.check_one_column(shape)

    def run(self, values: Any) -> Any:
        """The model's output with the scores."""
        return self._file.run(values, [self._scores_name])[self._scores_name]

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
        half = self._file.type == "float16"
        return checked(module, values, self.run(values), self.name, half=half)

    def pixel_gradients(
        self, images: Sequence[Image], targets: FloatArray | None
    ) -> list[FloatArray] | None:
        """See `codecframe.TaskHead`: of the graph in torch, where torch can follow it."""
        if missing({"torch": _TORCH, "onnx": INSTALL}):
            return None
        try:
            return super().pixel_gradients(images, targets)
        except codecframe.MismatchError:
            return None

    def details(self) -> dict[str, Any]:
        """See `codecframe.TaskHead`: also the model's inputs and outputs."""
        found = self._file.details()
        scores = f"{self._scores_name}: "
        outputs = [
            one + (", the scores" if one.startswith(scores) else "") for one in found["outputs"]
        ]
        return {**found, "outputs": outputs, **super().details()}


def open_head(path: str, options: Mapping[str, Any]) -> codecframe.TaskHead:
    """A head of the task that the options name; a classifier, where they name none."""
    rest = dict(options)
    task = str(rest.pop("task", "classification"))
    if task == "classification":
        return OnnxHead(path, **vars(codecframe.HeadOptions.read(rest)))
    made: codecframe.TaskHead = codecframe.get_task(task).head(OnnxModel(path), rest)
    return made
