"""Training of a learned codec in front of a classifier that is trained already."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import codecframe
from codecframe import Shape
from codecframe_vae.bottleneck.graphs import encoder_graph, head_graph
from codecframe_vae.bottleneck.grid import grid_of
from codecframe_vae.bottleneck.model import Bottleneck, Normalise, Whole
from codecframe_vae.bottleneck.photos import Photos, Views, prepared
from codecframe_vae.bottleneck.recipe import BottleneckRecipe
from codecframe_vae.bottleneck.split import front_of, tail_of
from codecframe_vae.bottleneck.start import sensitivity, start_from
from codecframe_vae.bottleneck.task import BottleneckTask
from codecframe_vae.training.data import Labelled, to_tensor
from codecframe_vae.training.digests import network_digest
from codecframe_vae.training.export import eval_mode
from codecframe_vae.training.external_weights import Externalizer
from codecframe_vae.training.finish import Networks, finish, rehearse
from codecframe_vae.training.loop import train

_SAMPLE = 256
"""Images whose features say how the latents begin."""


def train_bottleneck(recipe: BottleneckRecipe, run: codecframe.TrainingRun) -> None:
    """Train a codec as `recipe` says, and write its model file."""
    head, shape = _classifier(recipe)
    external = Externalizer(recipe.head if recipe.external_weights else "")
    classes = [head.target_of(name) for name in run.classes]
    images, held = _split(run.images, recipe.held_out)
    validation = _seen(held, classes, head, shape)
    measured = _seen(_spread(images, recipe.measured), classes, head, shape)
    example = to_tensor(measured.images[:_SAMPLE])
    model, whole = _networks(recipe, head, example)
    geometry = {
        name: value
        for name, value in head.preprocess.changed().items()
        if name in ("resize", "crop", "interpolation")
    }

    def exported() -> Networks:
        eval_mode(model)
        return _exported(model, head, example, external)

    rehearse(exported(), recipe, run, measured, head.labels, geometry)
    model.to(recipe.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = BottleneckTask(model, whole, head.log_probabilities, recipe, validation, _origin(head))
    photos = Photos(images, _shares(images, classes, head), shape, recipe)
    views = Views(photos, recipe, whole.features) if recipe.views else None
    train(task, views or photos, recipe, run)
    pictures = prepared(_spread(images, recipe.pictures), head, shape)
    finish(exported(), recipe, run, measured, validation, head.labels, geometry, pictures)


def _exported(
    model: Bottleneck, head: codecframe.ClassifierHead, example: Tensor, external: Externalizer
) -> Networks:
    """The networks, in evaluation mode, for a model file."""
    grid = model.encoder.grid
    return Networks(
        model,
        encoder_graph(model.encoder, example),
        head_graph(model, head.log_probabilities, example, external),
        model.adapter.shifts,
        grid.stride,
        external,
        filled=grid.is_whole,
    )


def _origin(head: codecframe.ClassifierHead) -> dict[str, str]:
    """Digest of the classifier: weights, preprocessing, classes."""
    module = head.torch_model()
    assert isinstance(module, nn.Module)  # noqa: S101 - `_classifier`
    said = head.preprocess.to_dict(), list(head.labels), head.options().outputs
    return {"head": network_digest(module, *said)}


def _classifier(recipe: BottleneckRecipe) -> tuple[codecframe.ClassifierHead, Shape]:
    """(the head that the recipe names, the size of its images).

    Raises:
        MismatchError: if it is not a torch module, or takes images of any size.
    """
    head = codecframe.get_head(recipe.head)
    if not isinstance(head, codecframe.ClassifierHead) or not isinstance(
        head.torch_model(), nn.Module
    ):
        raise codecframe.MismatchError(f"head {recipe.head!r} is not a torch module")
    if head.input_shape is None:
        raise codecframe.MismatchError(f"the preprocess of head {recipe.head!r} needs a crop")
    return head, head.input_shape


def _networks(
    recipe: BottleneckRecipe, head: codecframe.ClassifierHead, example: Tensor
) -> tuple[Bottleneck, Whole]:
    """(what is trained, the classifier as it was)."""
    torch.manual_seed(recipe.seed)
    module = head.torch_model()
    assert isinstance(module, nn.Module)  # noqa: S101 - `_classifier`
    normalise = Normalise(head.preprocess)
    values = normalise(example[:2])
    front = front_of(module, recipe.layer, values)
    grid = grid_of(front, recipe.layer, values)
    tail = tail_of(module, recipe.layer, recipe.watched, values)
    whole = Whole(normalise, copy.deepcopy(front), copy.deepcopy(tail))
    for part in (front, tail):
        part.requires_grad_(requires_grad=True)
    with torch.no_grad():
        parts = torch.split(example, recipe.batch)
        features = torch.cat([whole.features(part) for part in parts])
    fisher = sensitivity(whole.tail, head.log_probabilities, features)
    pixels = example[0, 0].numel()
    start = start_from(features, fisher, recipe.latents, recipe.rates, pixels)
    model = Bottleneck(normalise, front, tail, start, grid, recipe)
    whole.to(recipe.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    whole.requires_grad_(requires_grad=False)
    return model, whole


# -- images --------------------------------------------------------------------------------

Images = Sequence[codecframe.LabelledImage]


def _split(images: Images, held_out: int) -> tuple[Images, Images]:
    """(training, validation): evenly spread ones validate."""
    if held_out >= len(images):
        raise codecframe.SettingsError("held_out", held_out, f"fewer than the {len(images)} images")
    held = set((np.arange(held_out) * len(images) // max(held_out, 1)).tolist())
    parts: tuple[list[Any], list[Any]] = [], []
    for number, image in enumerate(images):
        parts[number in held].append(image)
    return parts


def _spread(images: Images, count: int) -> Images:
    """So many of them, evenly spread."""
    at = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    return [images[i] for i in at]


def _seen(images: Images, classes: list[Any], head: codecframe.TaskHead, shape: Shape) -> Labelled:
    """Images as the head looks at them; targets are labels, or without labels what it sees."""
    ready = prepared(images, head, shape)
    if classes:
        targets = [classes[cast("int", image.target)] for image in images]
    else:
        targets = head.pseudo_targets(head.predict(list(ready)))
    return Labelled(ready, np.array(targets, np.int64))


def _shares(
    images: Images, classes: list[Any], head: codecframe.ClassifierHead
) -> npt.NDArray[np.float32]:
    """Labels as shares of the classes, (images, classes); of no classes without labels."""
    if not classes:
        return np.zeros((len(images), 0), np.float32)
    targets = [classes[cast("int", image.target)] for image in images]
    return np.eye(head.classes, dtype=np.float32)[targets]
