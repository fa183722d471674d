"""Distillation of what follows the codec, for as long as it is given."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from codecframe_vae.bottleneck.task import relative_errors
from codecframe_vae.learn.head import LearnedHead
from codecframe_vae.learn.measure import Measure
from codecframe_vae.learn.recipe import LearnRecipe
from codecframe_vae.networks.nets import Gains
from codecframe_vae.training.precision import autocast

_BATCH = 16


class Channel:
    """The codec as training sees it: real latents to decoded ones, at each of the trained rates."""

    def __init__(self, gains: Gains) -> None:
        self._up = gains.log_up.detach().exp()[:, :, None, None]
        self._down = gains.log_down.detach().exp()[:, :, None, None]

    def through(self, real: Tensor, level: Tensor) -> Tensor:
        """`float32`, for latents, (n, C, height, width), and levels, (n,)."""
        return (real.float() * self._up[level]).round() * self._down[level]


Batches = Callable[[int], tuple[list[Tensor], Tensor]]
"""From a step's number to ([real latents, what is wanted, watched outputs...], shares)."""


class Improvement:
    """A training of a head, as `train_for` takes it.

    Args:
        head: to train; as it is, it adds nothing.
        channel: in front of it.
        measure: what is minded of its scores.
        recipe: how.
        real: latents of the images that choose.
        wanted: what the whole network says of these.
        batches: to train with.

    Attributes:
        weights: what learns, by name.
    """

    def __init__(
        self,
        head: LearnedHead,
        channel: Channel,
        measure: Measure,
        recipe: LearnRecipe,
        real: Tensor,
        wanted: Tensor,
        batches: Batches,
    ) -> None:
        self._head, self._channel, self._measure = head, channel, measure
        self._recipe, self._batches = recipe, batches
        self._real, self._wanted = real, wanted
        self.weights = head.learned()
        self._linear = self._found = self._measured()
        divergence, _ = self._linear
        weight = (divergence + divergence.max() / 1000 + 1e-9).rsqrt()
        self._weight = weight / weight.mean()

    def step(self, number: int, progress: float) -> Tensor:
        """The loss of a batch."""
        del progress
        (real, wanted, *watched), targets = self._batches(number)
        recipe = self._recipe
        level = torch.randint(0, len(recipe.rates), (len(real),))
        latents = self._channel.through(real, level).to(memory_format=torch.channels_last)
        with autocast(recipe.device):
            _, scores, *found = self._head(latents, self._head.shifts[level])
        wanted = wanted.float()
        if targets.shape[1]:  # of a classifier
            aim = recipe.label_share * targets + (1 - recipe.label_share) * wanted.exp()
            wanted = aim.log()
        loss = self._measure.loss(wanted, self._measure.said(scores.float()))
        if watched:
            loss = loss + recipe.features * relative_errors(found, watched)
        return (self._weight[level] * loss).mean()

    def validate(self) -> tuple[float, str]:
        """(mean divergence over the rates, agreement at the middle one in words)."""
        divergence, agreement = self._found = self._measured()
        least = torch.minimum(divergence, self._linear[0])
        middle = len(agreement) // 2
        before, now = (100 * float(one[middle]) for one in (self._linear[1], agreement))
        rate = self._recipe.rates[middle]
        words = f"agreement {now:.1f} % at {rate:.2f} bpp (linear {before:.1f})"
        return float((self._weight * least).mean()), words

    def chosen(self) -> tuple[dict[str, Tensor], Tensor]:
        """(the weights that were validated last, their agreement on held-out images, (rates,)): a
        rate at which the linear codec is better has its head.
        """
        weights = {name: value.detach().clone() for name, value in self.weights.items()}
        worse = self._found[0] >= self._linear[0]
        weights["shifts"][worse] = 0
        return weights, torch.where(worse, self._linear[1], self._found[1])

    @torch.inference_mode()
    def _measured(self) -> tuple[Tensor, Tensor]:
        """Mean divergence from the whole network, and mean agreement with it, of the head as it is
        on held-out images, (rates,) each.
        """
        divergence, agreement = [], []
        for number in range(len(self._recipe.rates)):
            far, same = [], []
            for at in range(0, len(self._real), _BATCH):
                real, wanted = self._real[at : at + _BATCH], self._wanted[at : at + _BATCH]
                level = torch.full((len(real),), number)
                shift = self._head.shifts[level]
                with autocast(self._recipe.device):
                    scores = self._head(self._channel.through(real, level), shift)[1]
                said = self._measure.said(scores.float())
                far.append(self._measure.divergence(wanted, said))
                same.append(self._measure.agreement(wanted, said))
            divergence.append(torch.cat(far).mean().clamp_min(0))
            agreement.append(torch.cat(same).mean())
        return torch.stack(divergence), torch.stack(agreement)
