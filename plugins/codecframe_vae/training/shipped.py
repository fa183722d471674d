"""Classifiers that come with the plugin: trainings start from them and learn from them."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import codecframe
from codecframe_vae.models import MODELS
from codecframe_vae.networks.nets import PixelModel
from codecframe_vae.networks.stored import classifier
from codecframe_vae.training import checkpoint


def shipped(name: str, run: codecframe.TrainingRun) -> PixelModel | None:
    """The classifier that comes with the plugin under a name; None if none does, or a recipe of
    that name is trained in the same folder.
    """
    path = MODELS / f"{name}.onnx"
    if checkpoint.is_trained(name, run) or not path.exists():
        return None
    return classifier(path.read_bytes())


@torch.no_grad()
def adopt(model: PixelModel, given: PixelModel, images: Tensor) -> None:
    """Take the weights of a classifier that a recipe trained.

    Its normalisations lie in its kernels. They are made anew, with the statistics that some images
    have: thus the model computes what the classifier does, and can be trained on.

    Args:
        model: of the same networks; a last layer of other classes stays as it is.
        given: the classifier whose weights to take, as `shipped` gives it.
        images: `uint8`, (n, 3, height, width).

    Raises:
        MismatchError: if the networks are of other sizes.
    """
    convolutions, layers = (
        [module for module in one.modules() if isinstance(module, nn.Conv2d)]
        for one in (model, given)
    )
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if [one.weight.shape for one in layers] != [one.weight.shape for one in convolutions]:
        raise codecframe.MismatchError("the classifier to start from has networks of other sizes")
    hooks = []
    for conv, norm, layer in zip(convolutions, norms, layers, strict=True):
        conv.weight.copy_(layer.weight)
        assert layer.bias is not None  # noqa: S101 - normalisations lie in it
        hooks.append(norm.register_forward_pre_hook(partial(_undo, layer.bias.to(images.device))))
    model.encoder.mean.copy_(given.encoder.mean)
    model.encoder.std.copy_(given.encoder.std)
    model.head.shifts.copy_(given.head.shifts)
    if model.head.last.weight.shape == given.head.last.weight.shape:
        model.head.last.load_state_dict(given.head.last.state_dict())
    model.eval()(images)
    for hook in hooks:
        hook.remove()


def _undo(bias: Tensor, norm: nn.BatchNorm2d, inputs: tuple[Any, ...]) -> None:
    """Let a normalisation take its input's statistics, and do no more than add a bias."""
    variance, mean = torch.var_mean(inputs[0].float(), (0, 2, 3))
    assert norm.running_mean is not None and norm.running_var is not None  # noqa: S101
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean + bias)
