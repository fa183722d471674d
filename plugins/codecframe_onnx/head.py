"""Heads from ONNX files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import codecframe
from codecframe.head import Batch, check_scores
from codecframe.image import Image
from codecframe.preprocess import Preprocess
from codecframe.registry import require

_INSTALL = "codecframe[onnx]"
_CHUNK = 64
"""Images a run, where the model takes any number."""


class OnnxHead(codecframe.TaskHead):
    """An ONNX classifier: one image input of four axes, scores as its first output.

    Args:
        path: the model file.
        preprocess: what is done to images first. What it leaves open is read off the model: the
            layout, and the size to which images are resized (short side) and cut.
        labels: class names.
        name: what to call it; the file's name by default.

    Raises:
        DataError: if the file is no such model.
        DependencyError: if onnxruntime is not installed.
    """

    summary = "an ONNX model"
    requires = {"onnxruntime": _INSTALL}  # noqa: RUF012

    def __init__(
        self,
        path: str | Path,
        *,
        preprocess: Preprocess | Mapping[str, Any] | None = None,
        labels: Sequence[str] = (),
        name: str | None = None,
    ) -> None:
        self.name = name or Path(path).stem
        self.labels = tuple(labels)
        self._session = _open(str(path))
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise codecframe.DataError(str(path), "needs exactly one input of four axes")
        self._input = inputs[0]
        self._preprocess = _completed(Preprocess.of(preprocess), self._input.shape)
        self.input_shape = self._preprocess.final_shape
        batch = self._input.shape[0]
        self._chunk = batch if isinstance(batch, int) else _CHUNK

    def prepare(self, image: Image) -> Image:
        """The image at the geometry of the preprocessing."""
        return self._preprocess.geometry(image)

    def predict(self, batch: Batch) -> codecframe.Prediction:
        """What the model says.

        Raises:
            MismatchError: if its output is not (images, classes), or it cannot take these images.
        """
        images = [codecframe.check_image(image) for image in batch]
        parts = [
            self._run(images[start : start + self._chunk])
            for start in range(0, len(images), self._chunk)
        ]
        scores = np.concatenate(parts) if parts else np.zeros((0, len(self.labels)), np.float32)
        return codecframe.Prediction(scores, self.labels)

    def _run(self, images: list[Image]) -> Any:
        try:
            values = self._preprocess.batch(images)
        except ValueError as error:
            raise codecframe.MismatchError(f"head {self.name!r}: {error}") from None
        if isinstance(self._input.shape[0], int) and len(images) < self._chunk:
            missing = self._chunk - len(images)
            values = np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
        if self._input.type == "tensor(uint8)":
            values = values.round().clip(0, 255).astype(np.uint8)
        elif self._input.type == "tensor(float16)":
            values = values.astype(np.float16)
        try:
            output = self._session.run(None, {self._input.name: values})[0]
        except Exception as error:  # onnxruntime raises many kinds
            raise codecframe.MismatchError(f"head {self.name!r}: {error}") from None
        return check_scores(output[: len(images)], len(images), self.name)


def _open(path: str) -> Any:
    runtime = require("onnxruntime", _INSTALL)
    if not Path(path).is_file():
        raise codecframe.DataError(path, "no such file")
    try:
        return runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many kinds
        raise codecframe.DataError(path, f"is no ONNX model that runs here: {error}") from None


def _completed(preprocess: Preprocess, shape: Sequence[Any]) -> Preprocess:
    """The preprocessing with what it leaves open read off the model's input shape."""
    if shape[1] not in (1, 3) and shape[3] == 3:
        preprocess = preprocess.replace(layout="nhwc")
    sides = shape[1:3] if preprocess.layout == "nhwc" else shape[2:4]
    open_size = preprocess.resize is None and preprocess.crop is None
    if open_size and all(isinstance(side, int) for side in sides):
        return preprocess.replace(resize=min(sides), crop=list(sides))
    return preprocess
