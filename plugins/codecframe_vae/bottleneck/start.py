"""What a codec in front of a classifier begins as: a linear one that is good already.

The best linear codec for a quadratic error is the Karhunen-Loeve transform with one quantisation
step for all components. The error here is what the classifier minds: to second order, a change e of
the features costs e' H e / 2 nats of its prediction, where H is the Fisher information of that
prediction (Amari, "Natural gradient works efficiently in learning", 1998). So the transform is that
of the features in the metric H.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_FLOOR = 1e-5
"""Directions that the classifier minds less than this, relative, count as if it minded so much."""
_BATCH = 16
_GAINS = (-4.0, 8.0)
"""Logarithms of the gains that are looked at."""
_STEP = 0.125
_HALVINGS = 40
_SAMPLES = 12_000
"""Squares that entropies are taken from, at most."""
_MOST = 1000
"""Magnitude of an integer, at most."""
_ROUNDING = 0.05
"""Added to the variance of integers: under a prior of no width, rare ones would cost too much."""


@dataclass(frozen=True)
class Transform:
    """A linear one, of features at one square.

    Attributes:
        forward: features, their mean taken off, to latents, (latents, features).
        back: latents to features without their mean, (features, latents).
        mean: of the features.
        unit: the first latent's standard deviation in the metric: what one is measured in.
    """

    forward: Tensor
    back: Tensor
    mean: Tensor
    unit: float = 1.0

    def __call__(self, features: Tensor) -> Tensor:
        """Real latents of features, (n, channels, height, width)."""
        centred = features - self.mean[:, None, None]
        return torch.einsum("kc,nchw->nkhw", self.forward, centred)


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


class Fitted:
    """The transform of some images, and what its latents cost.

    Args:
        features: at the cut, (n, channels, height, width).
        fisher: H, (channels, channels).
        latents: channels of the latents.
        pixels: of an image.

    Attributes:
        transform: features to latents and back.
    """

    def __init__(self, features: Tensor, fisher: Tensor, latents: int, pixels: int) -> None:
        self.transform = transform_of(features, fisher, latents)
        self._real = self.transform(features)
        flat = self._real.transpose(0, 1).flatten(1)
        flat = flat[:, :: max(1, flat.shape[1] // _SAMPLES)]
        squares = self._real[0, 0].numel()
        # bits per pixel, each channel coded alone, by the logarithm of the gain
        self._gains = np.arange(_GAINS[0], _GAINS[1] + _STEP, _STEP)
        bits = [squares * _entropy(flat, gain) for gain in self._gains]
        self._rates = np.maximum.accumulate(bits) / pixels

    def start(self, rates: Sequence[float]) -> Start:
        """Where a training for these rates, in bits per pixel, ascending, begins."""
        real = self._real
        gains = torch.tensor(np.interp(rates, self._rates, self._gains), dtype=torch.float32)
        spreads = [(real * gain.exp()).round().transpose(0, 1).flatten(1).var(1) for gain in gains]
        return Start(self.transform, gains, (torch.stack(spreads) + _ROUNDING).log() / 2)

    def rate_for(self, nats: float) -> float:
        """Bits per pixel, about, at which rounding costs so many nats of an image's prediction:
        half the error in the metric H, where a component has that of its rounding, or all it has.
        """
        unit = self.transform.unit
        spread = self._real.transpose(0, 1).flatten(1).var(1) * unit**2
        wanted = 2 * nats / self._real[0, 0].numel()
        low, high = _GAINS
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            rounding = (unit / math.exp(middle)) ** 2 / 12
            is_above = float(spread.clamp_max(rounding).sum()) > wanted
            low, high = (middle, high) if is_above else (low, middle)
        return float(np.interp(low, self._gains, self._rates))


Direction = Callable[[Tensor, torch.Generator], Tensor]
"""Of scores, (n, ...): a random number whose gradients' second moments are the metric of what is
said: the Fisher information of a classifier, see `drawn`."""


def sensitivity(tail: nn.Module, direction: Direction, features: Tensor, block: int = 1) -> Tensor:
    """The metric of what a head says, about the features of a block of squares, (D, D) with D = C *
    block ** 2: the Fisher information of a classifier's prediction.

    Args:
        tail: features to (scores, ...).
        direction: of its scores.
        features: (n, C, height, width).
        block: squares on each side of a block; its features are in the order of `pixel_unshuffle`.
    """
    generator = torch.Generator().manual_seed(0)
    size = features.shape[1] * block**2
    found = torch.zeros(size, size)
    for some in torch.split(features, _BATCH):
        given = some.detach().clone().requires_grad_()
        scores = tail(given)[0].float()
        (slope,) = torch.autograd.grad(direction(scores, generator), given)
        flat = functional.pixel_unshuffle(slope, block).transpose(0, 1).flatten(1)
        found += flat @ flat.T
    return found * block**2 / features[:, 0].numel()


def drawn(logs: Tensor, generator: torch.Generator) -> Tensor:
    """A random direction of log-probabilities, (n, classes), whose gradients' second moments are
    the Fisher information of the prediction: each class weighs the root of its probability, times a
    normal number. Classes that are drawn by their probabilities have the same moments, but mostly
    say nothing, and sometimes much.
    """
    weight = (logs.detach() / 2).exp()
    return (weight * torch.randn(logs.shape, generator=generator) * logs).sum()


def transform_of(features: Tensor, fisher: Tensor, latents: int) -> Transform:
    """The Karhunen-Loeve transform in the metric `fisher`; the first latent has unit variance."""
    flat = features.transpose(0, 1).flatten(1)
    mean = flat.mean(1, keepdim=True)
    centred = flat - mean
    covariance = (centred @ centred.T).double() / flat.shape[1]
    values, vectors = torch.linalg.eigh(fisher.double())
    values = values.clamp_min(float(values[-1]) * _FLOOR).clamp_min(1e-30)
    root, inverse = ((vectors * values**power) @ vectors.T for power in (0.5, -0.5))
    values, vectors = torch.linalg.eigh(root @ covariance @ root)
    count = min(latents, len(values))
    chosen = vectors.flip(1)[:, :count]
    unit = values[-1].clamp_min(1e-30).sqrt()
    forward = torch.zeros(latents, len(values), dtype=torch.double)
    forward[:count] = chosen.T @ root / unit
    back = torch.zeros(len(values), latents, dtype=torch.double)
    back[:, :count] = inverse @ chosen * unit
    return Transform(forward.float(), back.float(), mean[:, 0].float(), float(unit))


def _entropy(flat: Tensor, gain: float) -> float:
    """Bits of a square, for latents (C, samples)."""
    whole = (flat * math.exp(gain)).round().clamp(-_MOST, _MOST).int() + _MOST
    width = 2 * _MOST + 1
    at = whole + torch.arange(len(flat), dtype=torch.int32)[:, None] * width
    counts = torch.bincount(at.flatten(), minlength=width * len(flat)).double()
    share = counts / flat.shape[1]
    return -float((share * share.clamp_min(1e-30).log2()).sum())
