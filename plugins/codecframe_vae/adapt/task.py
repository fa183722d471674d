"""Distillation behind a codec: the classifier shall say what it says of uncompressed images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from codecframe_vae.adapt.network import Classifier
from codecframe_vae.adapt.views import Views
from codecframe_vae.training.data import U8, to_tensor
from codecframe_vae.training.precision import autocast

LogProbabilities = Callable[[object], Tensor]
"""From what a classifier gives to logarithms of its classes' probabilities."""
_AT_ONCE = 16


@torch.no_grad()
def targets(teacher: Classifier, logs: LogProbabilities, images: Tensor) -> Tensor:
    """What a teacher says of uncompressed images: logarithms of probabilities and features,
    `float16`, (n, classes + features).
    """
    with autocast("cpu"):
        scores, features = teacher(images)
    return torch.cat([logs(scores).float(), features.float()], 1).half()


class Distillation:
    """Kullback-Leibler divergence from the teacher's prediction, and squared error of what the last
    layer sees (Hinton et al., 2015; Romero et al., "FitNets", 2015); as `train_for` takes it.

    Args:
        student: is trained.
        teacher: the classifier as it was.
        log_probabilities: of their scores.
        features: weight of the features' error.
        views: images to train on, and their `targets`.
        held_out: the images that choose, by the condition that they are seen in, the first
            uncompressed; `uint8`, (n, height, width, 3).

    Attributes:
        weights: what learns, by name.
    """

    def __init__(
        self,
        student: Classifier,
        teacher: Classifier,
        log_probabilities: LogProbabilities,
        features: float,
        views: Views,
        held_out: Mapping[str, U8],
    ) -> None:
        self.weights = dict(student.graph.named_parameters())
        self._student = student
        self._logs = log_probabilities
        self._features = features
        self._views = views
        self._held_out = held_out
        self._wanted = self._said(teacher, next(iter(held_out.values())))

    def step(self, number: int, progress: float) -> Tensor:
        """The loss of a batch, its mean."""
        images, targets = self._views.draw(number, progress)
        wanted, aim = targets.float().tensor_split([self._wanted.shape[1]], dim=1)
        with autocast("cpu"):
            scores, features = self._student(images)
        divergence = (wanted.exp() * (wanted - self._logs(scores).float())).sum(1)
        error = (features.float() - aim).square().mean(1) / aim.square().mean().clamp_min(1e-12)
        mean: Tensor = (divergence + self._features * error).mean()
        return mean

    def lost(self) -> float:
        """Share of the accuracy on uncompressed held-out images that is lost, if the teacher's
        probabilities are right.
        """
        logs = self._said(self._student, next(iter(self._held_out.values())))
        chances = self._wanted.exp()
        now = chances.gather(1, logs.argmax(1, keepdim=True))[:, 0]
        return 1 - float(now.mean() / chances.amax(1).mean())

    def validate(self) -> tuple[float, str]:
        """(mean divergence over all conditions, agreement in words)."""
        divergences, words = [], []
        for name, images in self._held_out.items():
            logs = self._said(self._student, images)
            divergence = (self._wanted.exp() * (self._wanted - logs)).sum(1).mean()
            agrees = (logs.argmax(1) == self._wanted.argmax(1)).float().mean()
            divergences.append(float(divergence))
            words.append(f"{name} {100 * float(agrees):.0f}")
        return sum(divergences) / len(divergences), f"agreement % {', '.join(words)}"

    @torch.no_grad()
    def _said(self, model: Classifier, images: U8) -> Tensor:
        """Logarithms of probabilities, (n, classes)."""
        parts = to_tensor(images).split(_AT_ONCE)
        with autocast("cpu"):
            return torch.cat([self._logs(model(part)[0]).float() for part in parts])
