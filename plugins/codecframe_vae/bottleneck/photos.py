"""Photographs of any size: read when they are needed, cut at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import torch
from torch import Tensor

import codecframe
from codecframe import Image, Shape, map_threads
from codecframe_vae.bottleneck.recipe import BottleneckRecipe
from codecframe_vae.training.data import U8, to_tensor

_ASPECTS = 3 / 4, 4 / 3
"""Sides of a crop to each other."""
_TRIES = 10


class Photos:
    """Batches of random crops, mirrored or not, all of one size, as Szegedy et al. cut them (CVPR
    2015). The same for the same (seed, epoch); in memory are those of one batch.

    Args:
        images: to read.
        targets: shares of the classes, `float32`, (images, classes); of none without labels.
        shape: (height, width) of the crops.
        recipe: how many a batch has, how they are cut, and the seed.
    """

    def __init__(
        self,
        images: Sequence[codecframe.LabelledImage],
        targets: npt.NDArray[np.float32],
        shape: Shape,
        recipe: BottleneckRecipe,
    ) -> None:
        self._images = images
        self._targets = targets
        self._shape = shape
        self._recipe = recipe
        self._batch = min(recipe.batch, len(images))

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return len(self._images) // self._batch

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(images `uint8`, (n, 3, height, width); shares of the classes, (n, classes))."""
        rng = np.random.default_rng([self._recipe.seed, number])
        order = rng.permutation(len(self._images))
        for step in range(self.steps):
            index = order[step * self._batch : (step + 1) * self._batch]
            seeds = rng.integers(0, 1 << 32, len(index))
            crops = map_threads(self._crop, list(zip(index.tolist(), seeds, strict=True)))
            yield to_tensor(np.stack(crops)), torch.from_numpy(self._targets[index])

    def _crop(self, drawn: tuple[int, Any]) -> Image:
        index, seed = drawn
        rng = np.random.default_rng(seed)
        crop = random_crop(self._images[index].read(), self._shape, self._recipe.least, rng)
        return crop[:, ::-1] if self._recipe.flip and rng.integers(2) else crop


class Views:
    """Batches of features at the cut, of crops that are made once, when they are first needed; an
    epoch has one crop of each photograph. In memory are the features of all.

    Args:
        photos: makes the crops.
        recipe: how many of each photograph, and the seed.
        features: of crops.
    """

    def __init__(
        self, photos: Photos, recipe: BottleneckRecipe, features: Callable[[Tensor], Tensor]
    ) -> None:
        self.steps = photos.steps
        self._photos = photos
        self._recipe = recipe
        self._features = features
        self._views: dict[int, tuple[Tensor, Tensor]] = {}

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(features `float16`, (n, channels, height, width); shares of the classes)."""
        view = number % self._recipe.views
        if view not in self._views:
            self._views[view] = self._made(view)
        features, targets = self._views[view]
        generator = torch.Generator().manual_seed(self._recipe.seed + number)
        for index in torch.randperm(len(features), generator=generator).chunk(self.steps):
            yield features[index], targets[index]

    @torch.no_grad()
    def _made(self, view: int) -> tuple[Tensor, Tensor]:
        """(features, shares) of all crops of a view."""
        found = [
            (self._features(images.to(self._recipe.device)).to("cpu", torch.float16), targets)
            for images, targets in self._photos.epoch(view)
        ]
        features, targets = map(torch.cat, zip(*found, strict=True))
        return features, targets


def random_crop(
    image: Image, shape: Shape, least: float, rng: np.random.Generator, *, most: float = 1.0
) -> Image:
    """A part of the image, of `least` to `most` of its area, resized to (height, width)."""
    height, width = image.shape[:2]
    for _ in range(_TRIES):
        area = height * width * rng.uniform(least, most)
        aspect = np.exp(rng.uniform(*np.log(_ASPECTS))) * shape[1] / shape[0]
        w, h = (area * aspect) ** 0.5, (area / aspect) ** 0.5
        if w <= width and h <= height:
            break
    else:
        w, h = min(width, height * shape[1] / shape[0]), min(height, width * shape[0] / shape[1])
    left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
    box = (left, top, min(left + w, width), min(top + h, height))
    picture = PIL.Image.fromarray(image)
    resized = picture.resize(shape[::-1], PIL.Image.Resampling.BICUBIC, box=box)
    return np.asarray(resized)


def prepared(
    images: Sequence[codecframe.LabelledImage], head: codecframe.TaskHead, shape: Shape
) -> U8:
    """The images as the head looks at them, `uint8`, (n, height, width, 3)."""
    ready = map_threads(lambda image: head.prepare(image.read()), list(images))
    return np.stack(ready) if ready else np.zeros((0, *shape, 3), np.uint8)
