"""Training of a classifier of pixels, on clean images or behind another codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import codecframe
from codecframe.paths import write_whole
from codecframe.preset import parse_spec
from codecframe.rate import Budget, fit_mean
from codecframe_vae.training import data as datasets
from codecframe_vae.training.data import U8, Batches, Labelled
from codecframe_vae.training.export import classifier_graph, eval_mode
from codecframe_vae.training.loop import train
from codecframe_vae.training.nets import PixelModel
from codecframe_vae.training.pixels import PixelTask
from codecframe_vae.training.recipes import STRIDE, ClassifierRecipe
from codecframe_vae.training.teacher import Teacher

_SAMPLE = 1000
"""Training images on which a codec's level is chosen and its rate measured."""


def train_classifier(recipe: ClassifierRecipe, run: codecframe.TrainingRun) -> None:
    """Train a classifier as `recipe` says, and write its ONNX file."""
    training, validation = datasets.split(datasets.load(run.images, STRIDE), recipe.held_out)
    about: dict[str, Any] = {"recipe": run.recipe, "labels": run.classes}
    torch.manual_seed(recipe.seed)
    model = PixelModel(recipe.widths(len(run.classes), levels=1))
    model.encoder.start_from(datasets.to_tensor(training.images[:2000]))
    model.to(recipe.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    seen = None
    if recipe.codec:
        channel = Channel.chosen(recipe, training)
        seen = channel.seen
        validation = Labelled(seen(validation.images), validation.targets)
        about |= {"settings": channel.settings.to_dict(), "bpp": channel.bpp}
    batches = Batches(training, len(run.classes), recipe, seen)
    task = PixelTask(model, recipe, validation, Teacher(recipe, run))
    train(task, batches, recipe, run)
    eval_mode(model)
    about |= {"size": training.images.shape[1:3], "measured": task.validate()}
    write_whole(run.output, classifier_graph(model.encoder, model.head, about))


@dataclass(frozen=True)
class Channel:
    """A codec between camera and classifier.

    Attributes:
        codec: the codec.
        settings: with its knob.
        bpp: mean bare rate, in bits per pixel.
    """

    codec: codecframe.Codec[Any]
    settings: codecframe.Settings
    bpp: float

    @classmethod
    def chosen(cls, recipe: ClassifierRecipe, training: Labelled) -> Channel:
        """The recipe's codec, at the level whose mean bare rate over training images comes closest
        under `bpp`.
        """
        codec, settings = parse_spec(recipe.codec)
        some = np.linspace(0, len(training) - 1, _SAMPLE).astype(int)
        sample = [training.images[i] for i in some]
        settings = fit_mean(codec, settings, sample, Budget(recipe.bpp, "bpp", "mean"))
        size = sum(len(codec.strip(data)) for data in codec.encode_many(sample, settings))
        return cls(codec, settings, round(size * 8 / len(sample) / training.pixels, 4))

    def seen(self, images: U8) -> U8:
        """What the codec leaves of images, (n, height, width, 3)."""
        found = np.empty_like(images)
        for at in range(0, len(images), _SAMPLE):
            some = list(images[at : at + _SAMPLE])
            found[at : at + _SAMPLE] = self.codec.decode_many(
                self.codec.encode_many(some, self.settings)
            )
        return found
