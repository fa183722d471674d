"""Training of a head on what a codec leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

import codecframe
from codecframe import Accounting, Budget, Shape, fit_levels, parse_spec
from codecframe_vae.adapt.files import write_head
from codecframe_vae.adapt.network import Classifier
from codecframe_vae.adapt.recipe import AdaptRecipe
from codecframe_vae.adapt.task import Distillation, targets
from codecframe_vae.adapt.views import Views
from codecframe_vae.bottleneck.inputs import classifier
from codecframe_vae.bottleneck.network import network_of
from codecframe_vae.bottleneck.photos import prepared
from codecframe_vae.bottleneck.split import copied
from codecframe_vae.networks.nets import channels_last
from codecframe_vae.training.data import U8, to_tensor
from codecframe_vae.training.digests import network_digest, text_digest
from codecframe_vae.training.optim import Optimizers, Part
from codecframe_vae.training.timed import train_for

_AS_FLOATS: dict[str, dict[str, Any]] = {
    "float32": {},
    "uint8": {"dtype": "float32", "scale": 1.0, "mean": (0.0,), "std": (1.0,)},
}
"""What `network_of` takes, by what the head takes."""
_SAMPLE = 32
"""Images on which levels for rates are found."""
_SMALL = 128
"""Crops of a part of the final size are not smaller than that."""
_SMALLEST = 1e-3
"""Root mean square that a kernel learns as if it had, at least."""
_PIXELS = 1 << 26
"""Of the held-out images in all conditions, at most: they lie in memory."""


def train_adapted(recipe: AdaptRecipe, run: codecframe.TrainingRun) -> None:
    """Train a copy of the head as `recipe` says, and write it.

    Raises:
        MismatchError: if the head has no gradients, or takes images of several sizes.
        BudgetError: if the codec reaches none of the rates.
    """
    head = classifier(run.head or codecframe.get_head(recipe.head))
    module = copied(network_of(head))
    preprocess = replace(head.preprocess, layout="nchw", **_AS_FLOATS[head.preprocess.dtype])
    training, held = run.split(min(recipe.held_out, max(len(run.images) // 5, 1)))
    shape = head.input_shape or held[0].read().shape[:2]
    codec, settings = parse_spec(recipe.codec)
    sample = prepared(training[:: max(len(training) // _SAMPLE, 1)][:_SAMPLE], head, shape)
    budgets = [Budget(rate, "bpp", "mean") for rate in recipe.rates]
    accounting = Accounting(recipe.accounting)
    levels = recipe.levels or fit_levels(codec, settings, list(sample), budgets, accounting)
    example = to_tensor(sample[:2])
    teacher = Classifier(module, preprocess, example)
    channels_last(teacher.requires_grad_(requires_grad=False))
    student = copied(teacher)
    student.graph.requires_grad_(requires_grad=True)
    if recipe.start:
        _start_from(student, recipe.start)
    logs = head.log_probabilities
    sizes = _part(student, shape, recipe.part), shape
    wanted = partial(targets, teacher, logs)
    views = Views(training, sizes, codec, settings, levels, recipe, wanted)
    held_out = _conditions(prepared(held, head, shape), codec, settings, levels)
    task = Distillation(student, teacher, logs, recipe.features, views, held_out)

    def written() -> None:
        go_back(student.graph, teacher.graph, task.lost, recipe.lost)
        own, trained = module.state_dict(), student.graph.state_dict()
        module.load_state_dict(own | {name: one for name, one in trained.items() if name in own})
        write_head(head, module, preprocess, example, run.output)

    try:
        train_for(
            recipe.minutes,
            task,
            Optimizers(parts(student.graph, recipe.rate, recipe.front)),
            run,
            _facts(recipe, run, module, levels),
        )
    except KeyboardInterrupt:
        written()
        raise
    written()


def parts(module: nn.Module, rate: float, front: float) -> list[Part]:
    """Each kernel by itself, its learning rate relative to its size: where normalisation is folded
    into kernels, those of one network differ a hundredfold. The first one's is `front` times as
    high, the last one's as many times lower, and those between lie on a geometric sequence.

    Raises:
        MismatchError: if there is nothing that learns.
    """
    parameters = list(module.parameters())
    if not parameters:
        raise codecframe.MismatchError("the classifier has no weights that could be trained")
    sizes = [float(one.detach().square().mean().sqrt()) for one in parameters]
    factors = np.geomspace(front, 1 / front, len(parameters)).tolist()
    return [
        Part(f"kernel{number}", [one], rate * factor * max(size, _SMALLEST))
        for number, (one, size, factor) in enumerate(zip(parameters, sizes, factors, strict=True))
    ]


@torch.no_grad()
def go_back(student: nn.Module, teacher: nn.Module, lost: Callable[[], float], most: float) -> None:
    """Bring the student's weights nearer to the teacher's until it loses no more on uncompressed
    images than it may, in steps of an eighth of the way: behind the codec that costs little
    (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).

    Args:
        student: what was trained.
        teacher: what it was at first.
        lost: by the student as it is, on uncompressed images.
        most: what may be lost.
    """
    trained = [one.clone() for one in student.parameters()]
    for share in np.linspace(1, 0, 9).tolist():
        for own, new, old in zip(student.parameters(), trained, teacher.parameters(), strict=True):
            own.copy_(torch.lerp(old, new, share))
        if lost() <= most:
            return


def _start_from(student: Classifier, name: str) -> None:
    """Take the weights of a head that was adapted before.

    Raises:
        MismatchError: if they are another classifier's.
    """
    before = network_of(codecframe.get_head(name)).state_dict()
    own = student.graph.state_dict()
    if {key: one.shape for key, one in own.items()} != {
        key: before[key].shape for key in own if key in before
    }:
        raise codecframe.MismatchError(f"head {name!r} is another classifier")
    student.graph.load_state_dict({key: before[key] for key in own})


def _part(student: Classifier, shape: Shape, share: float) -> Shape:
    """The size of the first crops: smaller ones, where the classifier takes them."""
    small = (round(shape[0] * share / 32) * 32, round(shape[1] * share / 32) * 32)
    if min(small) < _SMALL:
        return shape
    try:
        with torch.no_grad():
            student(torch.zeros(2, 3, *small, dtype=torch.uint8))
    except Exception:  # whatever a classifier of one size raises
        return shape
    return small


def _conditions(
    images: U8,
    codec: codecframe.Codec[Any],
    settings: codecframe.Settings,
    levels: Sequence[int],
) -> dict[str, U8]:
    """The images uncompressed, and as they are at each level."""
    most = max(_PIXELS // (images[0, ..., 0].size * (1 + len(levels))), 1)
    found = {"uncompressed": images[:most]}
    for level in levels:
        datas = codec.encode_many(images[:most], settings.at_level(level))
        found[f"level {level}"] = np.stack(codec.decode_many(datas))
    return found


def _facts(
    recipe: AdaptRecipe, run: codecframe.TrainingRun, module: nn.Module, levels: Sequence[int]
) -> dict[str, Any]:
    """What tells one training from another; how long it takes does not."""
    said = {key: one for key, one in recipe.to_dict().items() if key != "minutes"}
    images = {key: run.recipe.get(key) for key in ("images", "where", "limit")}
    return {
        "settings": text_digest(said, list(levels)),
        "images": text_digest(images, len(run.images)),
        "head": network_digest(module),
    }
