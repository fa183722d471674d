"""Crops of photographs as training needs them: their latents, and what the whole network says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codecframe import chunks
from codecframe_vae.bottleneck.inputs import Images
from codecframe_vae.bottleneck.photos import random_crop
from codecframe_vae.learn.recipe import LearnRecipe
from codecframe_vae.training.data import to_tensor

_MOST_BYTES = 1 << 30
"""Of crops that are kept."""


class Crops:
    """Batches without an end of crops, mirrored or not, and what is made of them. An image's crops
    are made when they are first needed, and kept while memory is left for them.

    Args:
        images: to read.
        targets: shares of the classes, `float32`, (images, classes); of none without labels.
        shape: (height, width) of the crops.
        recipe: how they are cut, how many there are, and the seed.
        made: of crops, `uint8`, (n, 3, height, width): tensors with n rows.
        first: the number of the first batch; those before were had in an earlier run.
    """

    def __init__(
        self,
        images: Images,
        targets: Any,
        shape: tuple[int, int],
        recipe: LearnRecipe,
        made: Callable[[Tensor], list[Tensor]],
    ) -> None:
        self._images, self._targets, self._shape = images, targets, shape
        self._recipe, self._made = recipe, made
        self._kept: dict[tuple[int, int], list[Tensor]] = {}
        self._bytes = 0

    def batches(self, first: int = 0) -> Iterator[tuple[list[Tensor], Tensor]]:
        """(what `made` gave, shares of the classes), batch by batch."""
        size = min(self._recipe.batch, len(self._images))
        each = len(self._images) // size
        epoch, skipped = divmod(first, each)
        while True:
            rng = np.random.default_rng([self._recipe.seed, epoch])
            order = rng.permutation(len(self._images)).tolist()
            for number, index in enumerate(chunks(order, size)):
                if len(index) == size and number >= skipped:
                    yield self._batch(index, epoch % self._recipe.views)
            epoch, skipped = epoch + 1, 0

    def _batch(self, index: list[int], view: int) -> tuple[list[Tensor], Tensor]:
        new = [at for at in index if (at, view) not in self._kept]
        rows: dict[int, list[Tensor]] = {}
        if new:
            crops = np.stack([self._crop(at, view) for at in new])
            found = self._made(to_tensor(crops))
            for number, at in enumerate(new):
                rows[at] = [tensor[number] for tensor in found]
                self._keep(at, view, rows[at])
        batch = [rows.get(at) or self._kept[at, view] for at in index]
        parts = [torch.stack(column) for column in zip(*batch, strict=True)]
        return parts, torch.from_numpy(self._targets[index])

    def _keep(self, at: int, view: int, row: list[Tensor]) -> None:
        size = sum(tensor.numel() * tensor.element_size() for tensor in row)
        if self._bytes + size <= _MOST_BYTES:
            self._bytes += size
            self._kept[at, view] = [tensor.clone() for tensor in row]

    def _crop(self, index: int, view: int) -> Any:
        rng = np.random.default_rng([self._recipe.seed, view, index])
        image = self._images[index].read()
        crop = random_crop(image, self._shape, self._recipe.least, rng)
        return crop[:, ::-1] if self._recipe.flip and rng.integers(2) else crop
