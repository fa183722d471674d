"""Heads of trained models: of latents, and of pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

import codecframe
from codecframe import Batch, Image, Preprocess
from codecframe_vae.runtime.model import BATCH, Model, open_session
from codecframe_vae.runtime.modelfile import INSTALL, NEEDS, Manifest


class LatentHead(codecframe.TaskHead):
    """The head that a learned codec was trained with; it takes the codec's latents.

    Args:
        name: what users type.
        model: the model file, which holds codec and head.
        requires: packages that it needs besides, and what installs them.
    """

    def __init__(self, name: str, model: Model, requires: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._requires = {**NEEDS, **(requires or {})}
        self.summary = "the classifier of a learned codec: takes its latents"
        self._model = model

    @property
    def task(self) -> codecframe.Task:  # type: ignore[override]
        """What the model was made for."""
        name = self._model.manifest.task.name
        return codecframe.get_task(name) if name else super().task

    @property
    def requires(self) -> Mapping[str, str]:  # type: ignore[override]
        """Packages that run it, and those of its task."""
        return {**self._requires, **self.task.requires}

    @cached_property
    def _reader(self) -> Any:
        """The head that reads the outputs of a task other than classification."""
        manifest = self._model.manifest
        given = {**manifest.task.options, "labels": list(self.labels)}
        return self.task.head(_Outputs(manifest), given)

    @property
    def accepts(self) -> codecframe.Representation:  # type: ignore[override]
        """The model's latents."""
        return self._model.space

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override]
        """The model's classes."""
        return self._model.manifest.classes

    @property
    def reference(self) -> str:  # type: ignore[override]
        """The classifier that the codec was fitted to, where it was there before."""
        named = self._model.manifest.recipe.get("head", "")
        return named if isinstance(named, str) else ""

    @property
    def input_shape(self) -> codecframe.Shape | None:  # type: ignore[override]
        """Size of the images that the model was trained on."""
        return self._geometry.final_shape

    @cached_property
    def _geometry(self) -> Preprocess:
        return Preprocess.of(self._model.manifest.geometry)

    def prepare(self, image: Image) -> Image:
        """The image at the size that the model was trained on."""
        return self._geometry.geometry(image)

    def predict(self, batch: Batch) -> Any:
        """The task's prediction; of a classifier: logits.

        Raises:
            MismatchError: if the latents are of another model.
        """
        latents = cast("Sequence[codecframe.Latents]", batch)
        for one in latents:
            if not isinstance(one, codecframe.Latents) or one.space != self._model.space:
                raise codecframe.MismatchError(f"head {self.name!r} takes {self._model.space}")
        scores = self._model.scores(latents)
        outputs = self._model.manifest.task
        if not outputs.name:
            return codecframe.Prediction(scores, self.labels)
        sides = self.input_shape or (0, 0)
        shapes = [one.shape for one in latents]
        return self._reader.of_outputs(outputs.split(scores), shapes, (len(scores), *sides))

    def target_of(self, label: str) -> Any:
        """The class that a label means, also by names that the head has which it is trained for,
        e.g. WordNet ids.
        """
        if not label.isdecimal() and label not in self.labels and self.reference:
            return codecframe.get_head(self.reference).target_of(label)
        return super().target_of(label)


class _Outputs:
    """A `codecframe.Model` whose outputs are said to be of some shapes. What it makes of images
    says no more than that: they are zeros.
    """

    spec, batch_size, pad = "", 1, True

    def __init__(self, manifest: Manifest) -> None:
        self.name = manifest.name
        self.shapes: Mapping[str, Sequence[Any]] = manifest.task.shapes

    def preprocess(self, given: Mapping[str, Any] | None) -> Preprocess:
        """As it is said."""
        return Preprocess.of(given)

    def run(self, values: Any) -> Mapping[str, Any]:
        """Zeros."""
        count = len(values)
        return {name: np.zeros((count, *shape), np.float32) for name, shape in self.shapes.items()}

    def torch_model(self) -> None:
        """None."""

    def details(self) -> dict[str, Any]:
        """None."""
        return {}


class PixelHead(codecframe.ClassifierHead):
    """A classifier of pixels that this plugin's trainer made.

    Args:
        name: what users type.
        path: the ONNX file; its metadata has classes and size.
        summary: one line for listings.
    """

    requires = {"onnxruntime": INSTALL}  # noqa: RUF012

    def __init__(
        self, name: str, path: Path, summary: str, size: int, labels: Sequence[str]
    ) -> None:
        super().__init__(
            name,
            preprocess=Preprocess(resize=size, crop=size, layout="nhwc", dtype="uint8"),
            labels=labels,
            outputs="logits",
            batch_size=BATCH,
            concurrent=True,
        )
        self.summary = summary
        self._path = path

    @cached_property
    def _session(self) -> Any:
        return open_session(self._path.read_bytes(), str(self._path))

    def torch_model(self) -> Callable[[Any], Any] | None:
        """The network as a torch module; None where torch and onnx are not installed."""
        return self._module

    @cached_property
    def _module(self) -> Callable[[Any], Any] | None:
        try:
            from codecframe_vae.networks.nets import ChannelsLast
            from codecframe_vae.networks.stored import classifier
        except ImportError:
            return None
        return ChannelsLast(classifier(self._path.read_bytes())).eval()

    def run(self, values: Any) -> Any:
        """Logits."""
        return self._session.run(None, {"images": values})[0]
