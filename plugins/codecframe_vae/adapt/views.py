"""Training images: random crops as the classifier sees them, and as the codec leaves them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

import codecframe
from codecframe import Image, Shape, map_threads
from codecframe_vae.adapt.recipe import AdaptRecipe
from codecframe_vae.bottleneck.photos import random_crop
from codecframe_vae.training.data import to_tensor

_VIEWS = 16
"""Crops of each photograph and size, at most."""
_KEPT = 1 << 30
"""Bytes that are kept of them, at most."""
_PIXELS = 16 * 256 * 256
"""Of a batch: what all layers of a network gave is held for them, about a kilobyte a pixel."""


@dataclass
class _View:
    """A crop: what the teacher says of it, and its encodings by level."""

    wanted: Tensor | None = None
    encodings: dict[int, bytes] = field(default_factory=dict)

    def has(self, level: int | None) -> bool:
        """Whether it can be shown at a level without the crop; None: uncompressed."""
        return self.wanted is not None and level in self.encodings


class Views:
    """Batches of crops behind a codec, each at a level of its own, and some uncompressed.

    What takes time is kept: a crop is encoded once at each level, and the teacher looks at it once.

    Args:
        images: to read.
        shape: (height, width) that the classifier takes.
        sizes: (height, width) of the crops of the first part of the training, and of the rest.
        codec: leaves what is trained on.
        settings: of the codec, but for the level.
        levels: of its knob; all from the first to the last are trained.
        recipe: how crops are cut, how many a batch has, and the seed.
        teacher: targets of uncompressed crops, `uint8`, (n, 3, height, width).
    """

    def __init__(
        self,
        images: Sequence[codecframe.LabelledImage],
        sizes: tuple[Shape, Shape],
        codec: codecframe.Codec[Any],
        settings: codecframe.Settings,
        levels: Sequence[int],
        recipe: AdaptRecipe,
        teacher: Callable[[Tensor], Tensor],
    ) -> None:
        self._images = images
        self._sizes = sizes
        self._codec = codec
        self._settings = settings
        self._levels = levels
        self._recipe = recipe
        self._teacher = teacher
        self._views: dict[tuple[int, int, Shape], _View] = {}
        self._kept = 0

    def draw(self, step: int, progress: float) -> tuple[Tensor, Tensor]:
        """(images as they arrive, `uint8`, (n, 3, height, width); the teacher's targets), the same
        for the same step and size.
        """
        recipe = self._recipe
        size = self._sizes[progress >= recipe.parts_until]
        count = min(recipe.batch, max(1, _PIXELS // (size[0] * size[1])), len(self._images))
        first = step * recipe.batch
        places = [self._place(first + number) for number in range(count)]
        rng = np.random.default_rng([recipe.seed, step])
        clean = rng.random(count) < recipe.clean
        levels = [None if still else self._level(rng) for still in clean]
        views = [self._views.setdefault((*at, size), _View()) for at in places]
        new = [n for n, view in enumerate(views) if not view.has(levels[n])]
        crops = dict(zip(new, map_threads(lambda n: self._crop(places[n], size), new), strict=True))
        if lacking := [n for n in new if views[n].wanted is None]:
            targets = self._teacher(to_tensor(np.stack([crops[n] for n in lacking])))
            for n, target in zip(lacking, targets, strict=True):
                views[n].wanted = target

        def arrived(n: int) -> Image:
            level, encodings = levels[n], views[n].encodings
            if level is None:
                return crops[n]
            if level not in encodings:
                encodings[level] = self._codec.encode(crops[n], self._settings.at_level(level))
            return self._codec.decode(encodings[level])

        found = map_threads(arrived, range(count))
        wanted = torch.stack([view.wanted for view in views if view.wanted is not None])
        self._keep(places, size)
        return to_tensor(np.stack(found)), wanted

    def _place(self, number: int) -> tuple[int, int]:
        """(photograph, view) of the so-manieth image that is trained."""
        epoch, at = divmod(number, len(self._images))
        order = np.random.default_rng([self._recipe.seed, 1, epoch]).permutation(len(self._images))
        return int(order[at]), epoch % _VIEWS

    def _level(self, rng: np.random.Generator) -> int:
        """Of the knob: rates from the lowest to the highest are equally likely."""
        spread = np.arange(len(self._levels))
        return round(float(np.interp(rng.uniform(0, spread[-1]), spread, self._levels)))

    def _crop(self, place: tuple[int, int], size: Shape) -> Image:
        """A part of the photograph at about the scale that the classifier sees it at, or mirrored;
        one that has the final size is moved, not resized.
        """
        photo, number = place
        rng = np.random.default_rng([self._recipe.seed, 2, photo, number])
        image = self._images[photo].read()
        final = self._sizes[1]
        if image.shape[:2] == final:
            crop = _moved(image, size, rng)
        else:
            share = size[0] * size[1] / (final[0] * final[1])
            crop = random_crop(image, size, self._recipe.least * share, rng, most=share)
        return np.ascontiguousarray(crop[:, ::-1]) if rng.integers(2) else crop

    def _keep(self, places: Sequence[tuple[int, int]], size: Shape) -> None:
        """Forget the crops of a batch where too much is kept already."""
        for at in places:
            if self._kept > _KEPT:
                self._views.pop((*at, size), None)
            elif view := self._views.get((*at, size)):
                assert view.wanted is not None  # noqa: S101 - made above
                self._kept += view.wanted.nbytes + sum(map(len, view.encodings.values()))


def _moved(image: Image, size: Shape, rng: np.random.Generator) -> Image:
    """A window of the image, which may reach over its edge by an eighth of a side."""
    height, width = image.shape[:2]
    margin = [max(side // 8, 1) for side in size]
    padded = np.pad(image, ((margin[0],) * 2, (margin[1],) * 2, (0, 0)), mode="edge")
    top = int(rng.integers(0, height + 2 * margin[0] - size[0] + 1))
    left = int(rng.integers(0, width + 2 * margin[1] - size[1] + 1))
    return np.ascontiguousarray(padded[top : top + size[0], left : left + size[1]])
