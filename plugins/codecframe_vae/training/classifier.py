"""Training of a classifier of pixels, on clean images or behind another codec."""

from __future__ import annotations

from typing import Any

import torch

import codecframe
from codecframe import write_whole
from codecframe_vae.networks.nets import PixelModel, channels_last
from codecframe_vae.networks.widths import STRIDE
from codecframe_vae.training import data as datasets
from codecframe_vae.training.channel import Channel
from codecframe_vae.training.data import Batches
from codecframe_vae.training.export import classifier_graph, eval_mode
from codecframe_vae.training.loop import train
from codecframe_vae.training.pixels import PixelTask
from codecframe_vae.training.recipes import ClassifierRecipe
from codecframe_vae.training.teacher import Teacher


def train_classifier(recipe: ClassifierRecipe, run: codecframe.TrainingRun) -> None:
    """Train a classifier as `recipe` says, and write its ONNX file."""
    training, validation = datasets.load(run, recipe.held_out, STRIDE)
    about: dict[str, Any] = {"recipe": run.recipe, "labels": run.classes}
    torch.manual_seed(recipe.seed)
    model = PixelModel(recipe.widths(len(run.classes), levels=1))
    model.encoder.start_from(datasets.to_tensor(training.images[:2000]))
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
