"""The linear codec: where to cut, which transform, how finely; nothing of it is trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

import codecframe
from codecframe_vae.bottleneck.grid import Grid, blocked, grid_of
from codecframe_vae.bottleneck.model import Encoder, Normalise
from codecframe_vae.bottleneck.split import front_of, fronts_of, tail_of
from codecframe_vae.bottleneck.start import Fitted, Transform, sensitivity
from codecframe_vae.learn.cuts import Cut, candidates, chosen
from codecframe_vae.learn.fronts import Fronts
from codecframe_vae.learn.head import LearnedHead
from codecframe_vae.learn.measure import Measure
from codecframe_vae.learn.merge import bypassed
from codecframe_vae.learn.recipe import LearnRecipe
from codecframe_vae.networks.nets import Gains
from codecframe_vae.runtime.model import open_session
from codecframe_vae.settings import LEVELS
from codecframe_vae.training.data import U8, to_tensor
from codecframe_vae.training.export import of_images

_LOOKED_AT = 32
"""Images that cuts are compared with."""
_BATCH = 16
_RUNS = 5
_ANCHORS = 6
"""Rates that are trained."""
_OCTAVE = 4
_CLOSE = 0.004
"""Nats that the highest level costs, about; see `Measure.unit`."""
_MOST_SLOPES = 128
"""Images that the Fisher information is taken from, at most."""
_WIDEST = 128
_BLOCKS = 2, 4
_MOST_SQUARES = 800
"""Of an image, where blocks are used."""


@dataclass(frozen=True)
class Linear:
    """The linear codec.

    Attributes:
        recipe: with all that was chosen.
        cuts: the candidates, if there was a choice.
        transform: from features to latents and back.
        encoder: in evaluation mode.
        graph: the encoder's ONNX graph.
        gains: of each of the recipe's rates.
        head: what follows; it adds nothing yet.
        tail: the network's other layers, as they are.
    """

    recipe: LearnRecipe
    cuts: tuple[Cut, ...]
    transform: Transform
    encoder: Encoder
    graph: bytes
    gains: Gains
    head: LearnedHead
    tail: nn.Module


@dataclass(frozen=True)
class Whole:
    """A network that a codec is made for.

    Attributes:
        graph: as `split.graph_of` makes it.
        normalise: what it does to images first.
        measure: what is minded of its scores.
        watched: the node that the last layer takes, if that is a tensor of its own.
    """

    graph: fx.GraphModule
    normalise: Normalise
    measure: Measure
    watched: tuple[str, ...]

    def linear_codec(self, recipe: LearnRecipe, images: U8, tell: Callable[[str], None]) -> Linear:
        """The linear codec in front of the network.

        Args:
            recipe: what is asked for; without a layer, that and all that goes with it is chosen.
            images: as the network looks at them, `uint8`, (n, height, width, 3).
            tell: is told the stage.

        Raises:
            MismatchError: if the network cannot be cut, or has no gradients.
        """
        tensors = to_tensor(images)
        if recipe.layer:
            return self._at(recipe, recipe.layer, tensors, tell)
        tell("looking for places to cut")
        values = self.normalise(tensors[:_LOOKED_AT])
        unit = self._unit(tensors)
        found = candidates(self.graph, self.measure.direction, values, recipe.device_ms, unit)
        tell("timing encoders")
        layers = [place.layer for place, _ in found]
        fronts = Fronts(self.normalise, fronts_of(bypassed(self.graph), layers), layers, tensors)
        times = [milliseconds(fronts.graph(layer), images[:1]) for layer in layers]
        for at in reversed(range(len(times) - 1)):  # a part takes no longer than the whole
            times[at] = min(times[at], times[at + 1])
        cuts = [Cut(place, bpp, took) for (place, bpp), took in zip(found, times, strict=True)]
        layer = chosen(cuts, recipe.device_ms).place.layer
        return replace(self._at(recipe, layer, tensors, tell, fronts), cuts=tuple(cuts))

    def again(
        self, recipe: LearnRecipe, tensors: dict[str, Tensor], shape: codecframe.Shape
    ) -> Linear:
        """The linear codec of an earlier run.

        Args:
            recipe: with all that was chosen.
            tensors: `forward`, `back` and `mean` of its transform, `log_up` and `log_down` of its
                gains.
            shape: of the images.
        """
        transform = Transform(tensors["forward"], tensors["back"], tensors["mean"])
        gains = Gains(recipe.latents, len(recipe.rates), tensors["log_up"], tensors["log_down"])
        values = self.normalise(torch.zeros(2, 3, *shape))
        return self._joined(recipe, transform, gains, values)

    def _at(
        self,
        recipe: LearnRecipe,
        layer: str,
        images: Tensor,
        tell: Callable[[str], None],
        fronts: Fronts | None = None,
    ) -> Linear:
        """The linear codec at a layer."""
        tell(f"the linear codec at {layer}")
        values = self.normalise(images[:2])
        network = bypassed(self.graph, layer)
        front, tail = front_of(network, layer), tail_of(network, layer, [], values)
        with torch.no_grad():
            parts = [front(self.normalise(part)) for part in torch.split(images, _BATCH)]
        features = torch.cat(parts)
        is_chosen = bool(recipe.layer)
        if not is_chosen:
            block = _block_for(grid_of(front, layer, values))
            recipe = replace(
                recipe, layer=layer, block=block, **_shape_for(features.shape[1], block)
            )
        some = features[:: -(-len(features) // _MOST_SLOPES)]
        fisher = sensitivity(tail, self.measure.direction, some, recipe.block)
        pixels = images[0, 0].numel()
        blocks = functional.pixel_unshuffle(features, recipe.block)
        fitted = Fitted(blocks, fisher, recipe.latents, pixels)
        if not is_chosen:
            top = fitted.rate_for(_CLOSE * self._unit(images))
            recipe = replace(recipe, **_rates_for(top))
        start = fitted.start(recipe.rates)
        gains = Gains(recipe.latents, len(recipe.rates), start.log_gains)
        made = self._joined(recipe, start.transform, gains, values)
        tell("encoder")
        if fronts is not None and made.encoder.grid.fits:
            return replace(made, graph=fronts.encoder(layer, made.encoder.project))
        return replace(made, graph=of_images(made.encoder, "latents", images))

    @torch.no_grad()
    def _unit(self, images: Tensor) -> float:
        """The divergence that counts as a nat; see `Measure.unit`."""
        (scores,) = self.graph(self.normalise(images[:_BATCH]))
        return self.measure.unit(self.measure.said(scores.float()))

    def _joined(
        self, recipe: LearnRecipe, transform: Transform, gains: Gains, values: Tensor
    ) -> Linear:
        """The codec of a transform, without its encoder's graph; `values` are two images as the
        network takes them.
        """
        network = bypassed(self.graph, recipe.layer)
        front = front_of(network, recipe.layer)
        grid = blocked(grid_of(front, recipe.layer, values), recipe.block)
        encoder = Encoder(self.normalise, front, transform, grid, recipe.block).eval()
        encoder.requires_grad_(requires_grad=False)
        tail = tail_of(network, recipe.layer, self.watched, values)
        width, blocks = recipe.adapter
        head = LearnedHead(transform, grid, tail, len(recipe.rates), width, blocks, recipe.block)
        head.eval()
        return Linear(recipe, (), transform, encoder, b"", gains, head, tail)


def milliseconds(graph: bytes, images: U8) -> float:
    """Least time of an encoder for one image, in one thread: its own, so that other programs on
    this machine do not count.
    """
    session = open_session(graph, "encoder")
    times = []
    for _ in range(_RUNS):
        began = time.thread_time()
        session.run(None, {"images": images})
        times.append(time.thread_time() - began)
    return 1000 * min(times)


def _block_for(grid: Grid) -> int:
    """Squares on each side of a block, so that an image has few enough: neighbours in fine maps are
    alike, and at few bits a transform of them all takes fewer than contexts do.
    """
    found = 1
    for block in _BLOCKS:
        if math.prod(grid.maps) <= _MOST_SQUARES * found**2:
            break
        with suppress(codecframe.MismatchError):
            blocked(grid, block)
            found = block
    return found


def _shape_for(channels: int, block: int) -> dict[str, Any]:
    """What a recipe says of the latents of a layer with so many channels: as many are sent."""
    most = min(channels * block**2, 256)
    groups = next(count for count in (8, 4, 2, 1) if most >= 2 * count or count == 1)
    latents = max(most // groups, 1) * groups
    adapter = (min(_WIDEST, max(16, channels)), 2)
    return {"latents": latents, "groups": groups, "adapter": adapter}


def _rates_for(top: float) -> dict[str, Any]:
    """What a recipe says of rates where the highest is known, from which hardly anything changes:
    from there down.
    """
    lowest = top * 2 ** (-(LEVELS - 1) / _OCTAVE)
    rates = tuple(round(float(rate), 4) for rate in np.geomspace(lowest, top, _ANCHORS))
    return {"rates": rates, "lowest": round(lowest, 4), "octave": _OCTAVE}
