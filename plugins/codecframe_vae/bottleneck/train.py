"""Training of a learned codec in front of a classifier that is trained already."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import codecframe
from codecframe_vae.bottleneck.graphs import head_graph
from codecframe_vae.bottleneck.grid import grid_of
from codecframe_vae.bottleneck.inputs import (
    classifier_of,
    geometry_of,
    origin_of,
    seen,
    shares_of,
    spread,
)
from codecframe_vae.bottleneck.model import Bottleneck, Normalise, Whole
from codecframe_vae.bottleneck.photos import Photos, Views, prepared
from codecframe_vae.bottleneck.recipe import BottleneckRecipe
from codecframe_vae.bottleneck.split import copied, front_of, graph_of, tail_of
from codecframe_vae.bottleneck.start import Fitted, drawn, sensitivity
from codecframe_vae.bottleneck.task import BottleneckTask
from codecframe_vae.networks.nets import channels_last
from codecframe_vae.training.data import to_tensor
from codecframe_vae.training.export import eval_mode, of_images
from codecframe_vae.training.external_weights import Externalizer
from codecframe_vae.training.finish import Networks, finish, rehearse
from codecframe_vae.training.loop import train

_SAMPLE = 256
"""Images whose features say how the latents begin."""


def train_bottleneck(recipe: BottleneckRecipe, run: codecframe.TrainingRun) -> None:
    """Train a codec as `recipe` says, and write its model file."""
    head, shape = classifier_of(recipe.head)
    external = Externalizer(recipe.head if recipe.external_weights else "")
    classes = [head.target_of(name) for name in run.classes]
    images, held = run.split(recipe.held_out)
    validation = seen(held, classes, head, shape)
    measured = seen(spread(images, recipe.measured), classes, head, shape)
    example = to_tensor(measured.images[:_SAMPLE])
    model, whole = _networks(recipe, head, example)

    def exported() -> Networks:
        eval_mode(model)
        grid = model.encoder.grid
        return Networks(
            model,
            of_images(model.encoder, "latents", example),
            head_graph(model, head.log_probabilities, example, external),
            model.adapter.shifts,
            grid.stride,
            head.labels,
            geometry_of(head),
            external,
            filled=grid.is_whole,
        )

    rehearse(exported(), recipe, run, measured.images)
    channels_last(model, recipe.device)
    task = BottleneckTask(
        model, whole, head.log_probabilities, recipe, validation, origin_of(head, _module(head))
    )
    photos = Photos(images, shares_of(images, classes, head), shape, recipe)
    views = Views(photos, recipe, whole.features) if recipe.views else None
    train(task, views or photos, recipe, run)
    pictures = prepared(spread(images, recipe.pictures), head, shape)
    finish(exported(), recipe, run, measured, validation, pictures)


def _module(head: codecframe.ClassifierHead) -> nn.Module:
    """The classifier's network.

    Raises:
        MismatchError: if it is not a torch module.
    """
    module = head.torch_model()
    if not isinstance(module, nn.Module):
        raise codecframe.MismatchError(f"head {head.name!r} is not a torch module")
    return module


def _networks(
    recipe: BottleneckRecipe, head: codecframe.ClassifierHead, example: Tensor
) -> tuple[Bottleneck, Whole]:
    """(what is trained, the classifier as it was)."""
    torch.manual_seed(recipe.seed)
    module = _module(head)
    normalise = Normalise(head.preprocess)
    values = normalise(example[:2])
    graph = graph_of(module, values)
    front = front_of(graph, recipe.layer)
    grid = grid_of(front, recipe.layer, values)
    tail = tail_of(graph, recipe.layer, recipe.watched, values)
    whole = Whole(normalise, copied(front), copied(tail))
    for part in (front, tail):
        part.requires_grad_(requires_grad=True)
    with torch.no_grad():
        parts = torch.split(example, recipe.batch)
        features = torch.cat([whole.features(part) for part in parts])
    fisher = sensitivity(
        whole.tail, lambda scores, draws: drawn(head.log_probabilities(scores), draws), features
    )
    pixels = example[0, 0].numel()
    start = Fitted(features, fisher, recipe.latents, pixels).start(recipe.rates)
    model = Bottleneck(normalise, front, tail, start, grid, recipe)
    channels_last(whole, recipe.device)
    whole.requires_grad_(requires_grad=False)
    return model, whole
