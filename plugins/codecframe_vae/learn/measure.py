"""What a head minds: how far what it says of decoded features is from what it says of real ones.

A classifier's measure is the Kullback-Leibler divergence of its probabilities, whose metric is the
Fisher information. Of a head of another task it is half the sum of squared residuals of its raw
outputs (`ModelHead.residuals`), whose metric is that of Gauss and Newton.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import codecframe
from codecframe import Shape
from codecframe_vae.bottleneck.batchfree import freed
from codecframe_vae.bottleneck.inputs import Head
from codecframe_vae.bottleneck.network import network_of, torch_model_of
from codecframe_vae.bottleneck.start import drawn
from codecframe_vae.runtime.modelfile import TaskOutputs

_APART = 2e-2
"""Outputs may differ so much from the head's own, relative to the largest."""
_APART_NATS = math.log(1000)
"""Between images of different classes."""


class Measure(ABC):
    """What is minded of a network's scores, (n, numbers).

    Attributes:
        network: of the head: from images as it takes them, channels first, to scores.
        outputs: what a model file says of its task; empty for a classifier.
        watches: whether the last layer's inputs are of use.
    """

    network: nn.Module
    outputs: TaskOutputs = TaskOutputs()
    watches: bool = True

    @abstractmethod
    def said(self, scores: Tensor) -> Tensor:
        """What is compared, (n, numbers)."""

    @abstractmethod
    def direction(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """A random number whose gradients' second moments are the metric, per image."""

    @abstractmethod
    def divergence(self, wanted: Tensor, said: Tensor) -> Tensor:
        """0 or more, (n,)."""

    def loss(self, wanted: Tensor, said: Tensor) -> Tensor:
        """What training makes small, (n,). Default: the divergence."""
        return self.divergence(wanted, said)

    def unit(self, said: Tensor) -> float:
        """The divergence that counts as a nat, from what is said of some images. Default: 1."""
        del said
        return 1.0

    @abstractmethod
    def agreement(self, wanted: Tensor, said: Tensor) -> Tensor:
        """How right it is if what is wanted is the truth, from 0 to 1, (n,)."""


class OfClasses(Measure):
    """Of a classifier.

    Raises:
        MismatchError: as `network_of`.
    """

    def __init__(self, head: codecframe.ClassifierHead) -> None:
        self.network = network_of(head)
        self._head = head

    def said(self, scores: Tensor) -> Tensor:
        """Logarithms of probabilities."""
        logs: Tensor = self._head.log_probabilities(scores)
        return logs

    def direction(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """See `drawn`."""
        return drawn(self.said(scores), generator)

    def divergence(self, wanted: Tensor, said: Tensor) -> Tensor:
        """Of Kullback and Leibler, in nats."""
        return (wanted.exp() * (wanted - said)).sum(1)

    def loss(self, wanted: Tensor, said: Tensor) -> Tensor:
        """Cross-entropy."""
        return -(wanted.exp() * said).sum(1)

    def agreement(self, wanted: Tensor, said: Tensor) -> Tensor:
        """Whether the likeliest class is the same."""
        return (said.argmax(1) == wanted.argmax(1)).float()


class OfOutputs(Measure):
    """Of a head of any other task.

    Args:
        head: has residuals.
        shape: of its images.

    Raises:
        MismatchError: if torch cannot follow its model, or gives something else; or it has no
            residuals.
    """

    watches = False

    def __init__(self, head: codecframe.ModelHead[Any], shape: Shape) -> None:
        self._head, self._shape = head, shape
        model = torch_model_of(head)
        noise = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
        values = torch.from_numpy(head.preprocess.batch(list(noise))).float()
        if head.preprocess.layout == "nhwc":
            values = values.permute(0, 3, 1, 2)
        last = head.preprocess.layout == "nhwc"
        model, found = freed(model, values.permute(0, 2, 3, 1) if last else values, head.name)
        shapes = {
            name: tuple(one.shape[1:])
            for name, one in found.items()
            if one.is_floating_point() and len(one) == len(values)
        }
        self.network = _Flat(model, list(shapes), last)
        self.outputs = TaskOutputs(head.task.name, head.described(), shapes)
        self._check(values, list(noise))

    def _check(self, values: Tensor, images: list[codecframe.Image]) -> None:
        """Raise `MismatchError` unless there are residuals with gradients, and the predictions are
        those of the head.
        """
        given = values.clone().requires_grad_()
        scores = self.network(given)
        named = self.outputs.split(scores)
        residuals = self._head.residuals(named, self.outputs.split(scores.detach()))
        if residuals is None or not residuals.requires_grad:
            raise codecframe.MismatchError(
                f"head {self._head.name!r} has no raw outputs with gradients, so that nothing can "
                "be learned from it"
            )
        said = self._predicted(scores.detach())
        apart = float(self._head.divergence(said, self._head.predict(images)).max())
        if not apart <= _APART * max(1, math.prod(self._shape) / 256**2):
            raise codecframe.MismatchError(
                f"head {self._head.name!r} in torch gives something else than by itself, "
                f"{apart:.2g} apart"
            )

    def said(self, scores: Tensor) -> Tensor:
        """The raw outputs as they are."""
        return scores

    def _residuals(self, wanted: Tensor, said: Tensor) -> Tensor:
        split = self.outputs.split
        found: Tensor = self._head.residuals(split(said.float()), split(wanted.float()))
        return found.flatten(1)

    def direction(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Residuals with random signs."""
        residuals = self._residuals(scores.detach(), scores)
        signs = torch.randint(0, 2, residuals.shape, generator=generator) * 2 - 1
        return (signs * residuals).sum()

    def divergence(self, wanted: Tensor, said: Tensor) -> Tensor:
        """Half the sum of squared residuals."""
        return self._residuals(wanted, said).square().sum(1) / 2

    def unit(self, said: Tensor) -> float:
        """So that images are as far apart as those of a thousand classes are."""
        return max(float(self.divergence(said, said.roll(1, 0)).mean()) / _APART_NATS, 1e-9)

    def agreement(self, wanted: Tensor, said: Tensor) -> Tensor:
        """The task's score."""
        targets = self._head.pseudo_targets(self._predicted(wanted))
        return torch.from_numpy(self._head.score(self._predicted(said), targets)).float()

    def _predicted(self, said: Tensor) -> Any:
        outputs = {name: one.numpy() for name, one in self.outputs.split(said.float()).items()}
        count = len(said)
        return self._head.of_outputs(outputs, [self._shape] * count, (count, *self._shape))


def measure_of(head: Head, shape: Shape) -> Measure:
    """The measure of a head."""
    if isinstance(head, codecframe.ClassifierHead):
        return OfClasses(head)
    return OfOutputs(head, shape)


class _Flat(nn.Module):
    """Several outputs, by name, in one row for each image."""

    def __init__(self, network: Any, names: list[str], channels_last: bool) -> None:
        super().__init__()
        self.network, self._names, self._channels_last = network, names, channels_last

    def forward(self, values: Tensor) -> Tensor:
        """(n, numbers)."""
        found = self.network(values.permute(0, 2, 3, 1) if self._channels_last else values)
        return torch.cat([found[name].float().flatten(1) for name in self._names], 1)
