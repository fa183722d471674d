"""Trainings of kind `fade`: how much of a trained head each level of a codec is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

import codecframe
from codecframe_vae.bottleneck.fade import with_fade
from codecframe_vae.bottleneck.inputs import classifier_of, seen, spread
from codecframe_vae.bottleneck.model import Normalise
from codecframe_vae.bottleneck.network import network_of
from codecframe_vae.bottleneck.photos import prepared
from codecframe_vae.bottleneck.recipe import FadeRecipe
from codecframe_vae.bottleneck.split import front_of, graph_of, tail_of
from codecframe_vae.codec import VaeCodec
from codecframe_vae.training.data import U8, to_tensor
from codecframe_vae.training.finish import write_measured

_BATCH = 16


def train_fade(recipe: FadeRecipe, run: codecframe.TrainingRun) -> None:
    """Let a codec's head fade as `recipe` says, and write the codec's model file with it.

    Raises:
        MismatchError: if the codec was not made by a recipe of kind `bottleneck`, fades already, or
            kernels of its classifier were learned, too.
    """
    codec = codecframe.get_codec(recipe.codec)
    said = codec.model.manifest.recipe if isinstance(codec, VaeCodec) else {}
    if not isinstance(codec, VaeCodec) or said.get("kind") != "bottleneck" or "fade" in said:
        raise codecframe.MismatchError(
            f"codec {recipe.codec!r} was not made by a recipe of kind bottleneck, or fades already"
        )
    head, shape = classifier_of(said["head"])
    training, held = run.split(recipe.held_out)
    normalise = Normalise(head.preprocess)
    values = normalise(torch.zeros(2, 3, *shape))
    graph = graph_of(network_of(head), values)
    front, tail = front_of(graph, said["layer"]), tail_of(graph, said["layer"], [], values)
    few = spread(training, recipe.measured)

    def features(images: U8) -> Tensor:
        return _in_parts(lambda some: front(normalise(some)), to_tensor(images))

    fitted, chosen = (features(prepared(some, head, shape)) for some in (few, held))
    wanted = _in_parts(lambda some: head.log_probabilities(tail(some)[0]), chosen)
    own = {**dict(tail.named_parameters()), **dict(tail.named_buffers())}
    originals = {name: value.detach().numpy() for name, value in own.items()}
    with run.progress(codec.model.manifest.levels) as display:
        arrays, shares = with_fade(
            codec.model,
            fitted.numpy(),
            originals,
            chosen.numpy(),
            wanted.numpy(),
            lambda words: display.advance(1, words),
        )
    manifest = replace(codec.model.manifest, recipe={**said, "fade": shares})
    classes = [head.target_of(name) for name in run.classes]
    write_measured(arrays, manifest, run, seen(held, classes, head, shape))


@torch.no_grad()
def _in_parts(made: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    return torch.cat([made(some) for some in torch.split(values, _BATCH)])
