"""Labelled images of one size, in memory, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

import codecframe
from codecframe_vae.training.recipes import TrainingRecipe

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Labelled:
    """Images, `uint8`, (n, height, width, 3), and their class indices, `int64`, (n,)."""

    images: U8
    targets: I64

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return int(self.images.shape[1] * self.images.shape[2])

    @property
    def geometry(self) -> dict[str, Any]:
        """Fields of `Preprocess` that bring images to the size of these."""
        height, width = self.images.shape[1:3]
        return {"resize": min(height, width), "crop": [height, width]}


def load(
    run: codecframe.TrainingRun, held_out: int, multiple: int, *, needs_labels: bool = True
) -> tuple[Labelled, Labelled]:
    """Read labelled images into memory: (training, validation).

    Args:
        run: gives the images.
        held_out: how many validate, unless the recipe names them.
        multiple: sides must be multiples of this.
        needs_labels: whether images without labels are refused; else their class is 0.

    Raises:
        MismatchError: if there are none, they are of several sizes, a side is not a multiple of
            `multiple`, or they have no labels.
        DataError: if one cannot be read.
        SettingsError: if none are left to train on.
    """
    every = (*run.images, *(run.held_out or ()))
    if not run.images or (needs_labels and any(i.target is None for i in every)):
        raise codecframe.MismatchError("training takes images with labels")
    training, held = run.split(held_out)
    images = [*training, *held]
    read = [image.read() for image in images]
    shapes = {image.shape[:2] for image in read}
    if len(shapes) > 1:
        raise codecframe.MismatchError(
            f"training takes images of one size; these are of {len(shapes)}, e.g. "
            + " and ".join(f"{h}x{w}" for h, w in sorted(shapes)[:2])
        )
    if any(side % multiple for side in next(iter(shapes))):
        raise codecframe.MismatchError(
            f"training takes images whose sides are multiples of {multiple}, not {shapes.pop()}"
        )
    pixels, targets = np.stack(read), np.array([image.target or 0 for image in images], np.int64)
    count = len(training)
    return Labelled(pixels[:count], targets[:count]), Labelled(pixels[count:], targets[count:])


def to_tensor(images: U8) -> Tensor:
    """Images as `uint8`, (n, 3, height, width), channels last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


class Batches:
    """Batches of shifted, mirrored, cut and mixed images, the same for the same (seed, epoch).

    An image is mirrored in every other epoch, so that each two epochs show both views once (Jordan,
    "94 % on CIFAR-10 in 3.29 seconds", 2024).

    Args:
        data: what to make batches of.
        classes: how many there are.
        recipe: says how large batches are, what is done to images, and the seed of all that.
    """

    def __init__(self, data: Labelled, classes: int, recipe: TrainingRecipe) -> None:
        self._targets = np.eye(classes, dtype=np.float32)[data.targets]
        self._recipe, seed, shift = recipe, recipe.seed, recipe.shift
        self._batch = min(recipe.batch, len(data))
        self._size = data.images.shape[1:3]
        edges = ((0, 0), (shift, shift), (shift, shift), (0, 0))
        padded = np.pad(data.images, edges, mode="reflect")
        # rows as they lie in memory: windows of whole rows are gathered fastest
        rows = padded.reshape(*padded.shape[:2], -1)
        window = (self._size[0], self._size[1] * 3)
        self._windows = sliding_window_view(rows, window, axis=(1, 2))[:, :, ::3]
        self._phase = np.random.default_rng(seed).integers(0, 2, len(data))

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return len(self._targets) // self._batch

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(images `uint8`, (n, 3, height, width); shares of the classes, (n, classes)), batch by
        batch; the last, smaller one is left out.
        """
        rng = np.random.default_rng([self._recipe.seed, number])
        order = rng.permutation(len(self._targets))
        for step in range(self.steps):
            index = order[step * self._batch : (step + 1) * self._batch]
            images, targets = self._moved(index, number, rng), self._targets[index]
            if self._recipe.cutout:
                self._cut(images, rng)
            if self._recipe.mix:
                images, targets = self._mixed(images, targets, rng)
            yield to_tensor(images), torch.from_numpy(targets)

    def _moved(self, index: I64, epoch: int, rng: np.random.Generator) -> U8:
        """Images shifted and mirrored, (n, height, width, 3)."""
        down, right = rng.integers(0, 2 * self._recipe.shift + 1, (2, len(index)))
        images: U8 = self._windows[index, down, right].reshape(len(index), *self._size, 3)
        if self._recipe.flip:
            mirrored = (self._phase[index] + epoch) % 2 == 1
            images[mirrored] = images[mirrored, :, ::-1]
        return images

    def _cut(self, images: U8, rng: np.random.Generator) -> None:
        """Blank a square of each image (Cutout; DeVries and Taylor, 2017)."""
        side = self._recipe.cutout
        first = [rng.integers(-(side // 2), most, (len(images), 1)) for most in self._size]
        images[_boxes(self._size, first, [start + side for start in first])] = 128

    def _mixed(self, images: U8, targets: F32, rng: np.random.Generator) -> tuple[U8, F32]:
        """Some images with a box of another, and as much of its class (CutMix; Yun et al., ICCV
        2019).
        """
        count = len(images)
        side = np.sqrt(rng.random((count, 1))) * (rng.random((count, 1)) < self._recipe.mix)
        centre = [rng.random((count, 1)) * most for most in self._size]
        half = [side * most / 2 for most in self._size]
        first, last = (
            [np.rint(c + sign * h) for c, h in zip(centre, half, strict=True)] for sign in (-1, 1)
        )
        boxes = _boxes(self._size, first, last)
        others = rng.permutation(count)
        share = boxes.mean((1, 2), dtype=np.float32)[:, None]
        mixed = np.where(boxes[..., None], images[others], images)
        return mixed, (1 - share) * targets + share * targets[others]


def _boxes(size: tuple[int, ...], first: list[Any], last: list[Any]) -> npt.NDArray[np.bool_]:
    """Where the boxes are, (n, height, width), that begin and end in rows and columns (n, 1)."""
    rows, columns = (
        (np.arange(side) >= begin) & (np.arange(side) < end)
        for side, begin, end in zip(size, first, last, strict=True)
    )
    return np.asarray(rows[:, :, None] & columns[:, None, :])
