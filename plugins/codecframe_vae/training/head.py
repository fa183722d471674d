"""Training of a head of its own behind a learned codec: encoder, tables and payloads stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

import codecframe
from codecframe import chunks
from codecframe_vae.codec import VaeCodec
from codecframe_vae.networks.nets import Head, channels_last
from codecframe_vae.runtime.model import F32, Model
from codecframe_vae.settings import LEVELS
from codecframe_vae.training import data as datasets
from codecframe_vae.training.data import U8, Batches, Labelled
from codecframe_vae.training.export import eval_mode, head_graph
from codecframe_vae.training.finish import as_tensor, write_measured
from codecframe_vae.training.loop import train
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.quality import AT_ONCE, top1
from codecframe_vae.training.recipes import HeadRecipe
from codecframe_vae.training.supervised import SupervisedTask
from codecframe_vae.training.teacher import Teacher

_SHOWN = 4
"""Levels whose accuracy is shown after each epoch, at most."""


def train_head(recipe: HeadRecipe, run: codecframe.TrainingRun) -> None:
    """Train a head as `recipe` says, and write the codec's model file with it.

    Raises:
        MismatchError: if the codec is not one of this plugin's.
    """
    model = learned(recipe.codec)
    stride = model.manifest.stride
    training, validation = datasets.load(run, recipe.held_out, stride)
    torch.manual_seed(recipe.seed)
    head = Head(recipe.head_widths(model.manifest.channels, len(run.classes), LEVELS))
    channels_last(head, recipe.device)
    task = HeadTask(head, model, recipe, validation, Teacher(recipe, run))
    train(task, Batches(training, len(run.classes), recipe), recipe, run)
    eval_mode(head)
    nearest = [min(task.levels, key=lambda trained: abs(trained - n)) for n in range(LEVELS)]
    arrays = model.arrays | {
        "head.onnx": as_tensor(head_graph(head)),
        "levels.head": head.shifts.detach().numpy()[nearest],
    }
    said = model.manifest
    kept = {name: one for name, one in said.external_weights.weights.items() if name != "head"}
    manifest = replace(
        said,
        name=run.name,
        classes=run.classes,
        geometry=training.geometry,
        recipe=run.recipe,
        external_weights=replace(said.external_weights, weights=kept),
    )
    write_measured(arrays, manifest, run, validation)


def learned(name: str) -> Model:
    """The model of a codec, by its name or its model file.

    Raises:
        MismatchError: if the codec is not one of this plugin's.
    """
    codec = codecframe.get_codec(name)
    if not isinstance(codec, VaeCodec):
        raise codecframe.MismatchError(f"codec {name!r} has no latents that a head is trained on")
    return codec.model


class HeadTask(SupervisedTask):
    """Every image of a batch is trained at a level of its own, on the latents that really arrive.

    Attributes:
        levels: that are trained, ascending.
    """

    def __init__(
        self,
        head: Head,
        codec: Model,
        settings: HeadRecipe,
        validation: Labelled,
        teacher: Teacher,
    ) -> None:
        super().__init__(head, settings, teacher)
        self.model: Head = head
        self._codec = codec
        self._drawn = torch.tensor(settings.levels or range(LEVELS))
        self.levels = sorted(set(self._drawn.tolist()))
        self._real = codec.analyse(list(validation.images))
        self._targets = validation.targets

    def origin(self) -> dict[str, str]:
        """Codec and teacher."""
        return {"codec": self._codec.manifest.space, **super().origin()}

    def logits(self, images: Tensor) -> Tensor:
        """Logits, (n, classes), each at a level of its own."""
        levels = self._drawn[torch.randint(len(self._drawn), (len(images),))]
        seen: U8 = images.permute(0, 2, 3, 1).cpu().numpy()
        return self._behind(self._codec.analyse(list(seen)), levels)

    def _behind(self, real: list[F32], levels: Tensor) -> Tensor:
        """Logits for latents, each at its level."""
        device = self._settings.device
        arrived = torch.from_numpy(self._codec.arriving(real, levels.tolist()))
        latents = arrived.to(device, memory_format=torch.channels_last)
        with autocast(device):
            logits: Tensor = self.model(latents, self.model.shifts[levels.to(device)])
        return logits

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Top-1 in per cent at some of the levels; nothing without images."""
        if not len(self._targets):
            return {}
        self.model.eval()
        figures = {}
        places = np.linspace(0, len(self.levels) - 1, min(_SHOWN, len(self.levels)))
        for level in (self.levels[round(place)] for place in places):
            logits = (
                self._behind(some, torch.full((len(some),), level))
                for some in chunks(self._real, AT_ONCE)
            )
            figures[f"val top1 at level {level}"] = top1(logits, self._targets)
        return figures
