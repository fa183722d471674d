"""Crops of photographs as training needs them: their latents, and what the whole network says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codecframe_vae.bottleneck.inputs import Images
from codecframe_vae.bottleneck.photos import random_crop
from codecframe_vae.learn.recipe import LearnRecipe
from codecframe_vae.training.data import to_tensor

_MOST_BYTES = 1 << 30
"""Of crops that are kept."""


class Crops:
    """Batches of crops, mirrored or not, and what is made of them. An image's crops are made when
    they are first needed, and kept while memory is left for them.

    Args:
        images: to read.
        targets: shares of the classes, `float32`, (images, classes); of none without labels.
        shape: (height, width) of the crops.
        recipe: how they are cut, how many there are, and the seed.
        made: of crops, `uint8`, (n, 3, height, width): tensors with n rows.
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

    def draw(self, step: int) -> tuple[list[Tensor], Tensor]:
        """(what `made` gave, shares of the classes), the same for the same step."""
        size = min(self._recipe.batch, len(self._images))
        epoch, number = divmod(step, len(self._images) // size)
        order = np.random.default_rng([self._recipe.seed, epoch]).permutation(len(self._images))
        index = order[number * size : (number + 1) * size].tolist()
        return self._batch(index, epoch % self._recipe.views)

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
