"""Distillation of what follows the codec, for as long as it is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from codecframe_vae.learn.head import LearnedHead
from codecframe_vae.learn.recipe import LearnRecipe
from codecframe_vae.networks.nets import Gains
from codecframe_vae.training.precision import autocast

_WARMUP = 0.03
"""Share of the time over which the learning rate rises; then it falls to 0."""
_AVERAGED = 0.98
"""How much of the averaged weights a step leaves."""
_LOOKS = 8
"""How often held-out images are looked at, in all the time."""
_BATCH = 16
_BETAS = (0.9, 0.98)


@dataclass
class State:
    """Of a training that can be stopped.

    Attributes:
        seconds: that it has taken.
        steps: that it has made.
        averaged: mean weights of the last steps, by name.
        best: those that held-out images liked most.
        score: what these said of them, smaller is better.
        looks: how often these were looked at.
    """

    seconds: float = 0.0
    steps: int = 0
    averaged: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    score: float = float("inf")
    looks: int = 0


class Channel:
    """The codec as training sees it: real latents to decoded ones, at each of the trained rates."""

    def __init__(self, gains: Gains) -> None:
        self._up = gains.log_up.detach().exp()[:, :, None, None]
        self._down = gains.log_down.detach().exp()[:, :, None, None]

    def through(self, real: Tensor, level: Tensor) -> Tensor:
        """`float32`, for latents, (n, C, height, width), and levels, (n,)."""
        return (real.float() * self._up[level]).round() * self._down[level]


@dataclass(frozen=True)
class HeldOut:
    """Images that choose.

    Attributes:
        real: their latents.
        logs: what the whole network says of them.
    """

    real: Tensor
    logs: Tensor


@dataclass(frozen=True)
class Measured:
    """What held-out images say, at each trained rate.

    Attributes:
        divergence: mean Kullback-Leibler divergence from the whole network, in nats, (rates,).
        agreement: share of predictions that are the whole network's, (rates,).
    """

    divergence: Tensor
    agreement: Tensor


class Improvement:
    """A training of a head.

    Args:
        head: to train; as it is, it adds nothing.
        channel: in front of it.
        logs: logarithms of probabilities, of its scores.
        recipe: how.
        held: images that choose.
    """

    def __init__(
        self,
        head: LearnedHead,
        channel: Channel,
        logs: Callable[[Tensor], Tensor],
        recipe: LearnRecipe,
        held: HeldOut,
    ) -> None:
        self._head, self._channel, self._logs = head, channel, logs
        self.recipe, self._held = recipe, held
        self.state = State()
        self.learned = head.learned()
        self.optimizer = torch.optim.Adam(self.learned.values(), recipe.adam_rate, betas=_BETAS)
        self.linear = self.measured()
        floor = self.linear.divergence.max() / 1000 + 1e-9
        weight = (self.linear.divergence + floor).rsqrt()
        self._weight = weight / weight.mean()

    def run(
        self,
        batches: Iterator[tuple[list[Tensor], Tensor]],
        told: Callable[[str], None],
        looked: Callable[[bool], None],
    ) -> None:
        """Train until the time is over.

        Args:
            batches: (real latents, log-probabilities, watched outputs...), shares of classes.
            told: is told after every step, with a note.
            looked: is told after every look at held-out images, and whether there are better
                weights than before.
        """
        state, total = self.state, self.recipe.minutes * 60
        note = ""
        while state.seconds < total:
            began = time.monotonic()
            self._step(*next(batches), state.seconds / total)
            state.seconds += time.monotonic() - began
            if state.seconds >= total * (state.looks + 1) / _LOOKS:
                began = time.monotonic()
                is_better, note = self._look()
                state.seconds = min(state.seconds + time.monotonic() - began, total)
                state.looks = int(state.seconds / total * _LOOKS)
                looked(is_better)
            told(note)

    def _look(self) -> tuple[bool, str]:
        """Measure the averaged weights, and keep them where they are the best; whether, and a
        note.
        """
        with self._weights(self.state.averaged):
            found = self.measured()
        score = float(
            (self._weight * torch.minimum(found.divergence, self.linear.divergence)).mean()
        )
        is_better = score < self.state.score
        if is_better:
            self.state.score = score
            self.state.best = {name: value.clone() for name, value in self.state.averaged.items()}
        middle = len(found.agreement) // 2
        before, now = (100 * float(one.agreement[middle]) for one in (self.linear, found))
        rate = self.recipe.rates[middle]
        return is_better, f"agreement {now:.1f} % at {rate:.2f} bpp (linear {before:.1f})"

    def _step(self, parts: list[Tensor], targets: Tensor, progress: float) -> None:
        real, wanted, *watched = parts
        recipe = self.recipe
        level = torch.randint(0, len(recipe.rates), (len(real),))
        latents = self._channel.through(real, level).to(memory_format=torch.channels_last)
        with autocast(recipe.device):
            _, scores, *found = self._head(latents, self._head.shifts[level])
        aim = wanted.float().exp()
        if targets.shape[1]:
            aim = recipe.label_share * targets + (1 - recipe.label_share) * aim
        loss = -(aim * self._logs(scores.float())).sum(1)
        for made, whole in zip(found, watched, strict=True):
            error = (made.float() - whole.float()).square().flatten(1).mean(1)
            loss = loss + recipe.features * error / whole.float().square().mean().clamp_min(1e-12)
        self.optimizer.zero_grad()
        (self._weight[level] * loss).mean().backward()
        rate = min(1.0, progress / _WARMUP, (1 - progress) / (1 - _WARMUP)) if progress else 1e-3
        self.optimizer.param_groups[0]["lr"] = recipe.adam_rate * rate
        self.optimizer.step()
        self.state.steps += 1
        self._average()

    @torch.no_grad()
    def _average(self) -> None:
        state = self.state
        if not state.averaged:
            state.averaged = {name: value.clone() for name, value in self.learned.items()}
        keep = min(_AVERAGED, (state.steps - 1) / state.steps)
        for name, value in self.learned.items():
            state.averaged[name].lerp_(value.detach(), 1 - keep)

    @torch.no_grad()
    def chosen(self) -> tuple[dict[str, Tensor], Measured]:
        """(the best weights, what held-out images say of them): a rate at which the linear codec is
        better has its head.
        """
        if not self.state.best:
            return {name: value.clone() for name, value in self.learned.items()}, self.linear
        weights = {name: value.clone() for name, value in self.state.best.items()}
        with self._weights(weights):
            found = self.measured()
        worse = found.divergence >= self.linear.divergence
        weights["shifts"][worse] = 0
        return weights, Measured(
            torch.where(worse, self.linear.divergence, found.divergence),
            torch.where(worse, self.linear.agreement, found.agreement),
        )

    @torch.inference_mode()
    def measured(self) -> Measured:
        """What held-out images say of the head as it is."""
        held = self._held
        divergence, agreement = [], []
        for number in range(len(self.recipe.rates)):
            far, same = [], []
            for at in range(0, len(held.real), _BATCH):
                real, wanted = held.real[at : at + _BATCH], held.logs[at : at + _BATCH]
                level = torch.full((len(real),), number)
                shift = self._head.shifts[level]
                with autocast(self.recipe.device):
                    scores = self._head(self._channel.through(real, level), shift)[1]
                logs = self._logs(scores.float())
                far.append((wanted.exp() * (wanted - logs)).sum(1))
                same.append((logs.argmax(1) == wanted.argmax(1)).float())
            divergence.append(torch.cat(far).mean().clamp_min(0))
            agreement.append(torch.cat(same).mean())
        return Measured(torch.stack(divergence), torch.stack(agreement))

    def _weights(self, weights: dict[str, Tensor]) -> _Weights:
        return _Weights(self.learned, weights)


class _Weights:
    """Puts other weights in the place of the head's, for a while."""

    def __init__(self, learned: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
        self._learned, self._weights = learned, weights
        self._own: dict[str, Tensor] = {}

    @torch.no_grad()
    def __enter__(self) -> None:
        self._own = {name: value.clone() for name, value in self._learned.items()}
        for name, value in self._learned.items():
            value.copy_(self._weights[name])

    @torch.no_grad()
    def __exit__(self, *_: object) -> None:
        for name, value in self._learned.items():
            value.copy_(self._own[name])
