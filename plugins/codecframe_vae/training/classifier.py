"""Training of a classifier of pixels, on clean images or behind another codec."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import codecframe
from codecframe.parallel import chunks
from codecframe.paths import write_whole
from codecframe.preset import parse_spec
from codecframe.rate import Budget, fit_mean
from codecframe_vae.training import data as datasets
from codecframe_vae.training.data import Batches, Labelled
from codecframe_vae.training.export import classifier_graph, eval_mode
from codecframe_vae.training.loop import train
from codecframe_vae.training.nets import PixelModel
from codecframe_vae.training.pixels import PixelTask
from codecframe_vae.training.recipes import STRIDE, ClassifierRecipe
from codecframe_vae.training.teacher import Teacher


def train_classifier(recipe: ClassifierRecipe, run: codecframe.TrainingRun) -> None:
    """Train a classifier as `recipe` says, and write its ONNX file."""
    training, validation = datasets.split(datasets.load(run.images, STRIDE), recipe.held_out)
    about: dict[str, Any] = {"recipe": run.recipe, "labels": run.classes}
    if recipe.codec:
        codec, settings = _codec_for(recipe, training)
        training, rate = decoded(training, codec, settings)
        validation, _ = decoded(validation, codec, settings)
        about |= {"settings": settings.to_dict(), "bpp": round(rate, 4)}
    torch.manual_seed(recipe.seed)
    model = PixelModel(recipe.widths(len(run.classes), levels=1))
    model.encoder.start_from(datasets.to_tensor(training.images[:2000]))
    model.to(recipe.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = PixelTask(model, recipe, validation, Teacher(recipe, run))
    batches = Batches(training, len(run.classes), recipe)
    train(task, batches, recipe, run)
    eval_mode(model)
    about |= {"size": training.images.shape[1:3], "measured": task.validate()}
    write_whole(run.output, classifier_graph(model.encoder, model.head, about))


def _codec_for(
    recipe: ClassifierRecipe, training: Labelled
) -> tuple[codecframe.Codec[Any], codecframe.Settings]:
    """The recipe's codec, at the level whose mean bare rate over training images comes closest
    under `bpp`.
    """
    codec, settings = parse_spec(recipe.codec)
    sample = [training.images[i] for i in np.linspace(0, len(training) - 1, 1000).astype(int)]
    budget = Budget(recipe.bpp, "bpp", "mean")
    return codec, fit_mean(codec, settings, sample, budget)


def decoded(
    data: Labelled, codec: codecframe.Codec[Any], settings: codecframe.Settings
) -> tuple[Labelled, float]:
    """(the images after a codec, their mean bare rate in bpp)."""
    images, size = [], 0
    for chunk in chunks(data.images, 1000):
        datas = codec.encode_many(chunk, settings)
        size += sum(len(codec.strip(d)) for d in datas)
        images += codec.decode_many(datas)
    if not images:
        return data, 0.0
    return Labelled(np.stack(images), data.targets), size * 8 / len(data) / data.pixels
