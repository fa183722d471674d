"""Training of a learned codec together with the classifier behind it."""

from __future__ import annotations

import torch

import codecframe
from codecframe_vae.networks.nets import channels_last
from codecframe_vae.networks.widths import STRIDE
from codecframe_vae.training import data as datasets
from codecframe_vae.training.data import Batches
from codecframe_vae.training.export import encoder_graph, eval_mode, head_graph
from codecframe_vae.training.finish import Networks, finish
from codecframe_vae.training.int8 import int8_graph
from codecframe_vae.training.joint import JointModel, JointTask
from codecframe_vae.training.loop import train
from codecframe_vae.training.recipes import VaeRecipe
from codecframe_vae.training.teacher import Teacher


def train_codec(recipe: VaeRecipe, run: codecframe.TrainingRun) -> None:
    """Train a codec as `recipe` says, and write its model file."""
    training, validation = datasets.load(run, recipe.held_out, STRIDE)
    torch.manual_seed(recipe.seed)
    model = JointModel(recipe.widths(len(run.classes), len(recipe.rates)), recipe.groups)
    model.encoder.start_from(datasets.to_tensor(training.images[:2000]))
    channels_last(model, recipe.device)
    task = JointTask(model, recipe, validation, Teacher(recipe, run))
    train(task, Batches(training, len(run.classes), recipe), recipe, run)
    eval_mode(model)
    encoder = encoder_graph(model.encoder)
    networks = Networks(
        model,
        encoder,
        head_graph(model.head),
        model.head.shifts,
        STRIDE,
        run.classes,
        training.geometry,
        int8_encoder=int8_graph(encoder, training.images),
    )
    finish(networks, recipe, run, training, validation)
