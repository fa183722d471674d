"""Distillation behind a codec: the classifier shall say what it says of uncompressed images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from codecframe_vae.adapt.network import Classifier
from codecframe_vae.training.data import U8, to_tensor
from codecframe_vae.training.precision import autocast

LogProbabilities = Callable[[object], Tensor]
"""From what a classifier gives to logarithms of its classes' probabilities."""
_AT_ONCE = 16


class Distillation:
    """Kullback-Leibler divergence from the teacher's prediction, and squared error of what the last
    layer sees (Hinton et al., 2015; Romero et al., "FitNets", 2015).

    Args:
        student: is trained.
        teacher: the classifier as it was.
        log_probabilities: of their scores.
        features: weight of the features' error.
        held_out: the images that choose, by the condition that they are seen in, the first
            uncompressed; `uint8`, (n, height, width, 3).
    """

    def __init__(
        self,
        student: Classifier,
        teacher: Classifier,
        log_probabilities: LogProbabilities,
        features: float,
        held_out: Mapping[str, U8],
    ) -> None:
        self.model = student
        self._teacher = teacher
        self._logs = log_probabilities
        self._weight = features
        self._held_out = held_out
        first = next(iter(held_out.values()))
        self._wanted = self._said(teacher, first)
        self._classes = self._wanted.shape[1]

    @torch.no_grad()
    def targets(self, images: Tensor) -> Tensor:
        """What the teacher says of uncompressed images: logarithms of probabilities and features,
        `float16`, (n, classes + features).
        """
        with autocast("cpu"):
            scores, features = self._teacher(images)
        return torch.cat([self._logs(scores).float(), features.float()], 1).half()

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """Mean over the batch."""
        wanted, aim = targets.float().tensor_split([self._classes], dim=1)
        with autocast("cpu"):
            scores, features = self.model(images)
        divergence = (wanted.exp() * (wanted - self._logs(scores).float())).sum(1)
        error = (features.float() - aim).square().mean(1) / aim.square().mean().clamp_min(1e-12)
        mean: Tensor = (divergence + self._weight * error).mean()
        return mean

    def lost(self) -> float:
        """Share of the accuracy on uncompressed held-out images that is lost, if the teacher's
        probabilities are right.
        """
        logs = self._said(self.model, next(iter(self._held_out.values())))
        chances = self._wanted.exp()
        now = chances.gather(1, logs.argmax(1, keepdim=True))[:, 0]
        return 1 - float(now.mean() / chances.amax(1).mean())

    def validate(self) -> dict[str, tuple[float, float]]:
        """(divergence in nats, agreement from 0 to 1) on the held-out images by condition."""
        found = {}
        for name, images in self._held_out.items():
            logs = self._said(self.model, images)
            divergence = (self._wanted.exp() * (self._wanted - logs)).sum(1).mean()
            agrees = (logs.argmax(1) == self._wanted.argmax(1)).float().mean()
            found[name] = float(divergence), float(agrees)
        return found

    @torch.no_grad()
    def _said(self, model: Classifier, images: U8) -> Tensor:
        """Logarithms of probabilities, (n, classes)."""
        parts = to_tensor(images).split(_AT_ONCE)
        with autocast("cpu"):
            return torch.cat([self._logs(model(part)[0]).float() for part in parts])
