"""Which place to cut a network at: where the closed-form codec needs fewest bits, within a limit.

At each place the features' covariance and the Fisher information about them make a spectrum. Of a
Gaussian source with that spectrum, reverse water-filling (Cover and Thomas, "Elements of
information theory", 10.3) says how many bits leave a Kullback-Leibler divergence of so many nats.
One backward pass gives the Fisher information at all places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

import codecframe
from codecframe_vae.bottleneck.start import Direction
from codecframe_vae.learn.merge import is_packed
from codecframe_vae.learn.places import Place, places

_KEPT = 12
"""Places that are looked at closely."""
_WIDEST = 4096
"""Channels, at most."""
_BATCH = 4
_NATS = 0.1
"""Mean divergence from the prediction for the whole image; about one in twenty changes."""
_SHARE = 0.05
"""Of the divergence without any bits, at most."""
_STRIDES = (2, 4, 8, 16, 32, 64)
_RIDGE = 1e-6
"""Added to the slopes' second moments, relative to their mean, which may be of too few squares."""
_SLACK = 10
"""Places that take torch so many times the limit are not looked at."""


@dataclass(frozen=True)
class Cut:
    """A candidate.

    Attributes:
        place: where it is.
        bpp: bits per pixel that the linear codec needs there, as its spectrum says.
        milliseconds: that the network takes up to there for an image, as encoders run, in one
            thread.
    """

    place: Place
    bpp: float
    milliseconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        place = self.place
        return {
            "layer": place.layer,
            "channels": place.shape[0],
            "height": place.shape[1],
            "width": place.shape[2],
            "parameters": place.parameters,
            "macs": place.macs,
            "milliseconds": round(self.milliseconds, 2),
            "bpp": round(self.bpp, 4),
        }


def candidates(
    graph: fx.GraphModule,
    direction: Direction,
    images: Tensor,
    device_ms: float,
    unit: float = 1.0,
) -> list[tuple[Place, float]]:
    """Places where a network can be cut, in order, with the bits per pixel that they need.

    Args:
        graph: as `split.graph_of` makes it.
        direction: of its scores.
        images: some, as the network takes them.
        device_ms: what takes far longer than this is left out.
        unit: the divergence that counts as a nat.

    Raises:
        MismatchError: if there is none, or gradients do not pass.
    """
    usable = _narrowest([place for place in places(graph, images[:1]) if _is_usable(place, images)])
    if not usable:
        raise codecframe.MismatchError(
            "the head cannot be cut in two: no convolution's maps are all that later layers see"
        )
    quick = [place for place in usable if 1000 * place.seconds <= _SLACK * device_ms] or usable[:1]
    kept = quick[-_KEPT:]
    spectra = _spectra(graph, kept, direction, images)
    pixels = images[0, 0].numel()
    return [
        (place, _bits(spectrum, place.shape[1] * place.shape[2], _NATS * unit) / pixels)
        for place, spectrum in zip(kept, spectra, strict=True)
    ]


def _narrowest(some: Sequence[Place]) -> list[Place]:
    """Those that have no more numbers than the places beside them, and those that are packed."""
    alone = [place for place in some if not is_packed(place.node)]
    sizes = [math.prod(place.shape) for place in alone]
    return [
        place for at, place in enumerate(alone) if sizes[at] <= min(sizes[max(at - 1, 0) : at + 2])
    ] + [place for place in some if is_packed(place.node)]


_ABOUT = 1.25
"""Times the quickest."""


def chosen(cuts: Sequence[Cut], device_ms: float) -> Cut:
    """The one of fewest bits within the limit; where none is, among those about as quick as any."""
    quickest = min(cut.milliseconds for cut in cuts)
    limit = device_ms if quickest <= device_ms else _ABOUT * quickest
    return min((cut for cut in cuts if cut.milliseconds <= limit), key=lambda cut: cut.bpp)


def _is_usable(place: Place, images: Tensor) -> bool:
    """Whether an encoder can end there."""
    channels, height, width = place.shape
    steps = {
        min((abs(side / rows - step), step) for step in _STRIDES)[1]
        for side, rows in zip(images.shape[2:], (height, width), strict=True)
    }
    return (
        place.macs > 0
        and channels <= _WIDEST
        and height * width > 1
        and len(steps) == 1
        and abs(images.shape[2] / height / next(iter(steps)) - 1) < 0.5
    )


class _Kept(fx.Interpreter):
    """Runs a graph, and keeps the outputs of some nodes."""

    def __init__(self, graph: fx.GraphModule, names: set[str]) -> None:
        super().__init__(graph)
        self._names = names
        self.kept: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        """As the interpreter does."""
        value = super().run_node(n)
        if n.name in self._names:
            if not value.requires_grad:  # the first of them: gradients are wanted from here on
                value = value.detach().requires_grad_()
            self.kept[n.name] = value
        return value


def _spectra(
    graph: fx.GraphModule,
    some: Sequence[Place],
    direction: Direction,
    images: Tensor,
) -> list[Tensor]:
    """Eigenvalues of the features' covariance in the metric of the Fisher information, at each."""
    generator = torch.Generator().manual_seed(0)
    sums = {place.node: _Moments(place.shape[0]) for place in some}
    for batch in torch.split(images, _BATCH):
        run = _Kept(graph, set(sums))
        (scores,) = run.run(batch)
        kept = [run.kept[name] for name in sums]
        try:
            slopes = torch.autograd.grad(direction(scores.float(), generator), kept)
        except RuntimeError as error:
            raise codecframe.MismatchError(
                f"the head has no gradients, so that nothing can be learned from it: {error}"
            ) from None
        for moments, features, slope in zip(sums.values(), kept, slopes, strict=True):
            moments.add(features.detach(), slope)
    return [moments.spectrum() for moments in sums.values()]


class _Moments:
    """Second moments of features and of slopes at a square."""

    def __init__(self, channels: int) -> None:
        self._mean = torch.zeros(channels)
        self._features = torch.zeros(channels, channels)
        self._slopes = torch.zeros(channels, channels)
        self._count = 0

    def add(self, features: Tensor, slopes: Tensor) -> None:
        """Of more images."""
        flat = features.transpose(0, 1).flatten(1).float()
        slope = slopes.transpose(0, 1).flatten(1).float()
        self._mean += flat.sum(1)
        self._features += flat @ flat.T
        self._slopes += slope @ slope.T
        self._count += flat.shape[1]

    def spectrum(self) -> Tensor:
        """Eigenvalues, none below 0.

        Raises:
            MismatchError: if the prediction does not depend on the features.
        """
        mean = (self._mean / self._count).double()
        covariance = self._features.double() / self._count - mean[:, None] * mean
        slopes = self._slopes.double() / self._count
        if not float(slopes.trace()) > 0:
            raise codecframe.MismatchError(
                "the head's prediction does not depend on the image, or not smoothly"
            )
        slopes.diagonal().add_(_RIDGE * slopes.diagonal().mean())
        values, directions = torch.linalg.eigh(slopes)  # sums in float32 may leave some below 0
        root = directions * values.clamp_min(0).sqrt()
        found: Tensor = torch.linalg.eigvalsh(root.T @ covariance @ root).clamp_min(0)
        return found


def _bits(spectrum: Tensor, squares: int, nats: float) -> float:
    """Of an image, for so much divergence: half the error in the metric."""
    most = float(spectrum.sum()) * squares / 2
    wanted = 2 * min(nats, _SHARE * most) / squares
    low, high = 1e-30, float(spectrum.max()) + 1e-30
    for _ in range(100):
        middle = (low * high) ** 0.5
        if float(spectrum.clamp_max(middle).sum()) > wanted:
            high = middle
        else:
            low = middle
    return float((spectrum / low).clamp_min(1).log2().sum()) / 2 * squares
