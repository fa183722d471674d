"""What a codec in front of a classifier begins as: a linear one that is good already.

The best linear codec for a quadratic error is the Karhunen-Loeve transform with one quantisation
step for all components. The error here is what the classifier minds: to second order, a change e of
the features costs e' H e / 2 nats of its prediction, where H is the Fisher information of that
prediction (Amari, "Natural gradient works efficiently in learning", 1998). So the transform is that
of the features in the metric H.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_FLOOR = 1e-5
"""Directions that the classifier minds less than this, relative, count as if it minded so much."""
_BATCH = 32
_GAINS = (-4.0, 8.0)
"""Logarithms of the gains that are looked at."""
_HALVINGS = 24
_ROUNDING = 0.05
"""Added to the variance of integers: under a prior of no width, rare ones would cost too much."""


@dataclass(frozen=True)
class Transform:
    """A linear one, of features at one square.

    Attributes:
        forward: features, their mean taken off, to latents, (latents, features).
        back: latents to features without their mean, (features, latents).
        mean: of the features.
    """

    forward: Tensor
    back: Tensor
    mean: Tensor


@dataclass(frozen=True)
class Start:
    """What is fitted to a few images.

    Attributes:
        transform: features to latents and back.
        log_gains: of each rate, (rates,).
        log_widths: of the prior, (rates, latents).
    """

    transform: Transform
    log_gains: Tensor
    log_widths: Tensor


def start_from(
    features: Tensor, fisher: Tensor, latents: int, rates: Sequence[float], pixels: int
) -> Start:
    """Where a training begins.

    Args:
        features: at the cut, of some images, (n, channels, height, width).
        fisher: H, (channels, channels).
        latents: channels of the latents.
        rates: in bits per pixel, ascending.
        pixels: of an image.
    """
    transform = _transform(features, fisher, latents)
    centred = features - transform.mean[:, None, None]
    real = torch.einsum("kc,nchw->nkhw", transform.forward, centred)
    gains = [_gain_for(real, rate * pixels) for rate in rates]
    spreads = [(real * gain.exp()).round().transpose(0, 1).flatten(1).var(1) for gain in gains]
    return Start(transform, torch.stack(gains), (torch.stack(spreads) + _ROUNDING).log() / 2)


def sensitivity(
    tail: nn.Module, log_probabilities: Callable[[Tensor], Tensor], features: Tensor
) -> Tensor:
    """Fisher information of a classifier's prediction about the features at a square, (C, C).

    Args:
        tail: features to (scores, ...).
        log_probabilities: of its scores.
        features: (n, C, height, width).
    """
    generator = torch.Generator().manual_seed(0)
    found = torch.zeros(features.shape[1], features.shape[1])
    for some in torch.split(features, _BATCH):
        given = some.detach().clone().requires_grad_()
        logs = log_probabilities(tail(given)[0].float())
        drawn = torch.multinomial(logs.detach().exp(), 1, generator=generator)
        (slope,) = torch.autograd.grad(logs.gather(1, drawn).sum(), given)
        flat = slope.transpose(0, 1).flatten(1)
        found += flat @ flat.T
    return found / features[:, 0].numel()


def _transform(features: Tensor, fisher: Tensor, latents: int) -> Transform:
    """The first of the latents has unit variance."""
    flat = features.transpose(0, 1).flatten(1).double()
    mean = flat.mean(1, keepdim=True)
    values, vectors = torch.linalg.eigh(fisher.double())
    values = values.clamp_min(float(values[-1]) * _FLOOR).clamp_min(1e-30)
    root, inverse = ((vectors * values**power) @ vectors.T for power in (0.5, -0.5))
    spread = root @ (flat - mean)
    values, vectors = torch.linalg.eigh(spread @ spread.T / flat.shape[1])
    count = min(latents, len(values))
    chosen = vectors.flip(1)[:, :count]
    unit = values[-1].clamp_min(1e-30).sqrt()
    forward = torch.zeros(latents, len(values), dtype=torch.double)
    forward[:count] = chosen.T @ root / unit
    back = torch.zeros(len(values), latents, dtype=torch.double)
    back[:, :count] = inverse @ chosen * unit
    return Transform(forward.float(), back.float(), mean[:, 0].float())


def _gain_for(real: Tensor, bits: float) -> Tensor:
    """Logarithm of the gain by which an image takes so many bits, each channel coded alone."""
    low, high = _GAINS
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _bits(real, middle) < bits else (low, middle)
    return torch.tensor((low + high) / 2)


def _bits(real: Tensor, log_gain: float) -> float:
    """Of an image: entropy of each channel's integers."""
    total = 0.0
    for channel in (real * torch.tensor(log_gain).exp()).round().transpose(0, 1).flatten(1):
        _, counts = channel.unique(return_counts=True)
        shares = counts / counts.sum()
        total -= float((counts * shares.log2()).sum())
    return total / len(real)
