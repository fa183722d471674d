"""Training around a cut: the classifier shall say what it said, at all rates at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from codecframe_vae.bottleneck.model import Bottleneck, Whole
from codecframe_vae.bottleneck.recipe import BottleneckRecipe
from codecframe_vae.training.data import Labelled
from codecframe_vae.training.joint import CodedTask
from codecframe_vae.training.optim import Part
from codecframe_vae.training.precision import autocast

LogProbabilities = Callable[[Tensor], Tensor]
"""From a classifier's scores to logarithms of its classes' probabilities."""


class BottleneckTask(CodedTask):
    """Cross-entropy against the whole classifier's prediction (and labels, where there are any),
    squared error of features, and lambda * bits.

    Args:
        model: to train.
        whole: the classifier as it was.
        log_probabilities: of its scores.
        recipe: settings.
        validation: images of the final size with their classes.
        origin: as `Task.origin` gives it.
    """

    def __init__(
        self,
        model: Bottleneck,
        whole: Whole,
        log_probabilities: LogProbabilities,
        recipe: BottleneckRecipe,
        validation: Labelled,
        origin: dict[str, str],
    ) -> None:
        super().__init__(model, recipe, validation, recipe.batch)
        self.model: Bottleneck = model
        self._whole = whole
        self._logs = log_probabilities
        self._recipe = recipe
        self._origin = origin

    def parts(self) -> list[Part]:
        """New layers, the two fitted ones, the classifier's own, and gains.

        A fitted kernel may be of any size: its learning rate is relative to it.
        """
        recipe, model = self._recipe, self.model
        fitted = {
            "encoder.project.": model.encoder.project,
            "adapter.linear.": model.adapter.linear,
        }
        rates = {"adam": recipe.adam_rate, "tuned": recipe.tuned_rate, "gains.": recipe.gain_rate}
        for prefix, layer in fitted.items():
            rates[prefix] = recipe.adam_rate * float(layer.weight.detach().std())
        still = ("encoder.front.",) if recipe.views else ()
        parts: dict[str, list[Tensor]] = {name: [] for name in rates}
        for name, parameter in model.named_parameters():
            part = next((prefix for prefix in rates if name.startswith(prefix)), "adam")
            own = name.startswith(("encoder.front.", "tail."))
            if own:
                part = "tuned"
            is_kernel = own and recipe.tuned == "biases" and parameter.ndim > 1
            if is_kernel or name.startswith(still) or not rates[part]:
                parameter.requires_grad = False
            else:
                parts[part].append(parameter)
        return [Part(name.rstrip("."), parts[name], rates[name]) for name in parts]

    def loss(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean over the batch; with `views`, `images` are features at the cut."""
        recipe = self._recipe
        level = self._lambdas.levels(len(images)).to(images.device)
        with torch.no_grad(), autocast(recipe.device):
            cut = images.float() if recipe.views else self._whole.features(images)
            wanted, *watched = self._whole.tail(cut)
        with autocast(recipe.device):
            given = cut if recipe.views else self.model.encoder.features(images)
            scores, bits, features = self.model.behind(given, level)
        aim = self._logs(wanted.float()).exp()
        if targets.shape[1]:
            aim = recipe.labels * targets + (1 - recipe.labels) * aim
        surprise = -(aim * self._logs(scores)).sum(1)
        error = relative_errors(features, [cut, *watched])
        loss = self._lambdas.loss(level, surprise + recipe.features * error, bits)
        self._lambdas.follow(level, bits.detach(), progress)
        agrees = (scores.argmax(1) == wanted.argmax(1)).float()
        return loss, {
            "loss": float(loss.detach()),
            "features": float(error.detach().mean()),
            "agreement": 100 * float(agrees.mean()),
            "bpp": float(bits.detach().mean()) / self._pixels,
        }

    def features(self, images: Tensor) -> Tensor:
        """At the cut."""
        return self.model.encoder.features(images)

    def coded(self, features: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """(scores, bits)."""
        scores, bits, _ = self.model.behind(features, level)
        return scores, bits

    def origin(self) -> dict[str, str]:
        """The classifier."""
        return self._origin


def relative_errors(found: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Squared errors of each image's features, relative to their mean squares, summed, (n,)."""
    total = torch.zeros(len(found[0]), device=found[0].device)
    for made, aim in zip(found, wanted, strict=True):
        squares = (made.float() - aim.float()).square().flatten(1).mean(1)
        total = total + squares / aim.float().square().mean().clamp_min(1e-12)
    return total
