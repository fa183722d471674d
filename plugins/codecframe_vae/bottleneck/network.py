"""The network of a head, as a torch module that can be differentiated and cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import codecframe
from codecframe_vae.bottleneck.batchfree import freed

_TRIED = 2
"""Images that a network is tried with."""
_SIDE = 64
"""Sides of those images, where the head takes any."""
_APART = 2e-2
"""Logarithms of probabilities may differ so much from the head's own, relative to the largest."""
_LEAST = 1e-6
"""Smaller probabilities are not compared."""


def network_of(head: codecframe.TaskHead) -> nn.Module:
    """The network of a head, checked: it takes any number of images, has gradients, and gives what
    the head gives.

    A module whose output is one tensor, (n, classes), is returned as it is, with the names of its
    layers; others are wrapped.

    Args:
        head: a classifier whose `torch_model` is one: a torch module, a `.pt2` file, an ONNX file.

    Returns:
        In evaluation mode. From `float32`, (n, 3, height, width), what `head.preprocess` makes of
        prepared images (pixels 0..255 where the head takes `uint8`), channels first whatever its
        layout, to scores as `head.log_probabilities` takes them, (n, classes).

    Raises:
        MismatchError: if torch cannot follow what the head does, its output does not depend on the
            image, or differs from what the head says itself.
        DependencyError: if a package is missing.
    """
    if not isinstance(head, codecframe.ClassifierHead):
        raise codecframe.MismatchError(f"head {head.name!r} is not a classifier")
    model = torch_model_of(head)
    network = _for_any_batch(model if isinstance(model, nn.Module) else _Function(model), head)
    _check(network, head)
    return network


def torch_model_of(head: codecframe.ClassifierHead | codecframe.ModelHead[Any]) -> Any:
    """What a head has as a function of tensors.

    Raises:
        MismatchError: if it has none.
    """
    model = head.torch_model()
    if model is None:
        raise codecframe.MismatchError(
            f"head {head.name!r} is not a network that torch can differentiate: a torch module, a "
            ".pt2 file or an ONNX file of floating-point numbers is"
        )
    return model


def example_of(head: codecframe.ClassifierHead, count: int = _TRIED) -> Tensor:
    """Noise as `network_of` takes it, `float32`, (count, 3, height, width)."""
    values = torch.from_numpy(np.asarray(head.model_input(_noise(head, count)))).float()
    return values.permute(0, 3, 1, 2) if head.preprocess.layout == "nhwc" else values


def _noise(head: codecframe.ClassifierHead, count: int) -> list[codecframe.Image]:
    """Images of coloured squares."""
    rng = np.random.default_rng(0)
    height, width = head.input_shape or (_SIDE, _SIDE)
    squares = rng.integers(0, 256, (count, -(-height // 8), -(-width // 8), 3), np.uint8)
    return list(squares.repeat(8, 1).repeat(8, 2)[:, :height, :width])


class _Function(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def forward(self, values: Tensor) -> Any:
        """What the function gives."""
        return self._function(values)


class _Scores(nn.Module):
    """A network around another one, with channels first and one tensor of scores.

    Args:
        network: any.
        channels_last: whether it takes its channels last.
        key: which of its outputs are the scores; None: it has one.
    """

    def __init__(self, network: nn.Module, channels_last: bool, key: Any) -> None:
        super().__init__()
        self.network = network
        self._channels_last = channels_last
        self._key = key

    def forward(self, values: Tensor) -> Tensor:
        """Scores, (n, classes)."""
        found = self.network(values.permute(0, 2, 3, 1) if self._channels_last else values)
        scores: Tensor = found if self._key is None else found[self._key]
        return scores.flatten(1) if scores.ndim > 1 else scores[:, None]


def _for_any_batch(module: nn.Module, head: codecframe.ClassifierHead) -> nn.Module:
    """The module, wrapped where it has to be."""
    with suppress(NotImplementedError):  # what was exported is fixed already
        module.eval()
    last = head.preprocess.layout == "nhwc"
    values = example_of(head)
    module, found = freed(module, values.permute(0, 2, 3, 1) if last else values, head.name)
    key = _key_of(found, head)
    scores = found if key is None else found[key]
    if not last and key is None and scores.ndim == 2:
        return module
    return _Scores(module, last, key)


def _key_of(found: Any, head: codecframe.ClassifierHead) -> Any:
    """Which of a module's outputs are the scores: a key, a number, or None for the only one."""
    if isinstance(found, Tensor):
        return None
    picked = head.pick(found)
    if hasattr(found, "_asdict") or isinstance(found, (tuple, list)):
        return next(at for at, one in enumerate(found) if one is picked)
    if isinstance(found, Mapping):
        return next(key for key, one in found.items() if one is picked)
    raise codecframe.MismatchError(f"head {head.name!r} gives a {type(found).__name__}, not scores")


def _check(network: nn.Module, head: codecframe.ClassifierHead) -> None:
    """Raise `MismatchError` unless the scores have gradients and are those of the head."""
    values = example_of(head).requires_grad_()
    logs = head.log_probabilities(network(values))
    slope = None
    if logs.requires_grad:
        (slope,) = torch.autograd.grad(logs[:, 0].sum(), values, allow_unused=True)
    if slope is None or not slope.isfinite().all() or not slope.any():
        raise codecframe.MismatchError(
            f"head {head.name!r} has no gradients: its scores do not change with the image in "
            "small steps"
        )
    own = np.log(np.maximum(head.predict(_noise(head, _TRIED)).probabilities, _LEAST))
    ours = logs.detach().numpy().clip(np.log(_LEAST))
    apart = float(np.abs(own - ours).max()) / max(1.0, float(np.abs(own).max()))
    if not apart <= _APART:
        raise codecframe.MismatchError(
            f"head {head.name!r} in torch gives other scores than by itself, {apart:.2g} apart"
        )
