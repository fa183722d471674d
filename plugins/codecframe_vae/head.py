"""Heads of trained models: of latents, and of pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import codecframe
from codecframe import Batch, Image, Preprocess
from codecframe_vae.runtime.model import BATCH, Model, open_session
from codecframe_vae.runtime.modelfile import INSTALL, NEEDS


class LatentHead(codecframe.TaskHead):
    """The classifier that a learned codec was trained with; it takes the codec's latents.

    Args:
        name: what users type.
        model: the model file, which holds codec and head.
        requires: packages that it needs besides, and what installs them.
    """

    def __init__(self, name: str, model: Model, requires: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.requires = {**NEEDS, **(requires or {})}
        self.summary = "the classifier of a learned codec: takes its latents"
        self._model = model

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

    def predict(self, batch: Batch) -> codecframe.Prediction:
        """Logits.

        Raises:
            MismatchError: if the latents are of another model.
        """
        latents = cast("Sequence[codecframe.Latents]", batch)
        for one in latents:
            if not isinstance(one, codecframe.Latents) or one.space != self._model.space:
                raise codecframe.MismatchError(f"head {self.name!r} takes {self._model.space}")
        return codecframe.Prediction(self._model.scores(latents), self.labels)

    def target_of(self, label: str) -> Any:
        """The class that a label means, also by names that the head has which it is trained for,
        e.g. WordNet ids.
        """
        if not label.isdecimal() and label not in self.labels and self.reference:
            return codecframe.get_head(self.reference).target_of(label)
        return super().target_of(label)


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
