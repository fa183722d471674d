"""Classifiers that come with the plugin: trainings start from them and learn from them."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import codecframe
from codecframe_vae.models import MODELS
from codecframe_vae.training import checkpoint
from codecframe_vae.training.imports import GraphModule
from codecframe_vae.training.nets import PixelModel


class Shipped(nn.Module):
    """A classifier of pixels as it is stored.

    Args:
        graph: ONNX, as `export.classifier_graph` writes it.
    """

    def __init__(self, graph: bytes) -> None:
        super().__init__()
        self._graph = GraphModule(graph)
        self.constants = self._graph.constants()
        self.classes = len(self.constants[-1][1][0])

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (n, classes), of images 0..255, (n, 3, height, width)."""
        return self._graph(images.permute(0, 2, 3, 1))  # type: ignore[no-any-return]


def shipped(name: str, run: codecframe.TrainingRun) -> Shipped | None:
    """The classifier that comes with the plugin under a name; None if none does, or a recipe of
    that name is trained in the same folder.
    """
    path = MODELS / f"{name}.onnx"
    if checkpoint.is_trained(name, run) or not path.exists():
        return None
    return Shipped(path.read_bytes())


@torch.no_grad()
def adopt(model: PixelModel, classifier: Shipped, images: Tensor) -> None:
    """Take the weights of a classifier that a recipe trained.

    Its normalisations lie in its kernels. They are made anew, with the statistics that some images
    have: thus the model computes what the classifier does, and can be trained on.

    Args:
        model: of the same networks; a last layer of other classes stays as it is.
        classifier: whose weights to take.
        images: `uint8`, (n, 3, height, width).

    Raises:
        MismatchError: if the networks are of other sizes.
    """
    layers = [found for operator, found in classifier.constants if operator in ("Conv", "Gemm")]
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if [kernel.shape for kernel, _ in layers[:-1]] != [conv.weight.shape for conv in convolutions]:
        raise codecframe.MismatchError("the classifier to start from has networks of other sizes")
    hooks = []
    for conv, norm, (kernel, bias) in zip(convolutions, norms, layers[:-1], strict=True):
        conv.weight.copy_(kernel)
        hooks.append(norm.register_forward_pre_hook(partial(_undo, bias.to(images.device))))
    others = dict(classifier.constants)
    model.encoder.mean.copy_(others["Sub"][0])
    model.encoder.std.copy_(others["Div"][0])
    model.head.shifts.copy_(others["Add"][0].flatten()[None])
    last, (weight, bias) = model.head.last, layers[-1]
    if last.weight.shape == weight.shape:
        last.weight.copy_(weight)
        last.bias.copy_(bias)
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
