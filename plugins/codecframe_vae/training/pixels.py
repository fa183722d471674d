"""Training of a classifier of pixels, clean or behind another codec: encoder and head without
anything between them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

import codecframe
from codecframe import write_whole
from codecframe_vae.networks.nets import PixelModel, channels_last
from codecframe_vae.networks.widths import STRIDE
from codecframe_vae.training.channel import Channel
from codecframe_vae.training.data import Batches, Labelled, load, to_tensor
from codecframe_vae.training.digests import text_digest
from codecframe_vae.training.export import classifier_graph, eval_mode
from codecframe_vae.training.loop import train
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.quality import AT_ONCE, top1
from codecframe_vae.training.recipes import ClassifierRecipe
from codecframe_vae.training.shipped import adopt
from codecframe_vae.training.supervised import SupervisedTask
from codecframe_vae.training.teacher import Teacher


def train_classifier(recipe: ClassifierRecipe, run: codecframe.TrainingRun) -> None:
    """Train a classifier as `recipe` says, and write its ONNX file."""
    training, validation = load(run, recipe.held_out, STRIDE)
    about: dict[str, Any] = {"recipe": run.recipe, "labels": run.classes}
    torch.manual_seed(recipe.seed)
    model = PixelModel(recipe.widths(len(run.classes), levels=1))
    model.encoder.start_from(to_tensor(training.images[:2000]))
    channels_last(model, recipe.device)
    channel = None
    if recipe.codec:
        channel = Channel.chosen(recipe, training)
        about |= {"settings": channel.settings.to_dict(), "bpp": channel.bpp}
    task = PixelTask(model, recipe, validation, Teacher(recipe, run), channel)
    train(task, Batches(training, len(run.classes), recipe), recipe, run)
    eval_mode(model)
    about |= {"size": training.images.shape[1:3], "measured": task.validate()}
    write_whole(run.output, classifier_graph(model, about))


class PixelTask(SupervisedTask):
    """Cross-entropy, behind a codec or not; the teacher sees what cameras do."""

    def __init__(
        self,
        model: PixelModel,
        settings: ClassifierRecipe,
        validation: Labelled,
        teacher: Teacher,
        channel: Channel | None = None,
    ) -> None:
        super().__init__(model, settings, teacher)
        self.model: PixelModel = model
        self._channel = channel
        self._targets = validation.targets
        self._received = self._arriving(to_tensor(validation.images))

    def origin(self) -> dict[str, str]:
        """The codec with its settings, and the teacher."""
        found = super().origin()
        if self._channel is not None:
            said = self._channel.codec.name, self._channel.settings.to_dict()
            found["codec or preset"] = text_digest(*said)
        return found

    def logits(self, images: Tensor) -> Tensor:
        """Logits, (n, classes)."""
        return self._classified(self._arriving(images))

    def adopt(self, classifier: PixelModel, images: Tensor) -> None:
        """Start from a classifier that comes with the plugin."""
        adopt(self.model, classifier, self._arriving(images))

    def _arriving(self, images: Tensor) -> Tensor:
        """What the codec leaves of images, `uint8`, (n, 3, height, width)."""
        if self._channel is None:
            return images
        sent = np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())
        return to_tensor(self._channel.seen(sent)).to(images.device)

    def _classified(self, images: Tensor) -> Tensor:
        """Logits for images as they arrive."""
        with autocast(self._settings.device):
            logits: Tensor = self.model(images)
        return logits

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Top-1 in per cent; nothing without images."""
        if not len(self._targets):
            return {}
        self.model.eval()
        logits = (
            self._classified(some.to(self._settings.device))
            for some in self._received.split(AT_ONCE)
        )
        return {"val top1": top1(logits, self._targets)}
