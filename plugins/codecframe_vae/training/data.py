"""Labelled images of one size, in memory, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import codecframe

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]


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


def load(images: Sequence[Any], multiple: int) -> Labelled:
    """Read labelled images into memory.

    Raises:
        MismatchError: if there are none, they are of several sizes, a side is no multiple of
            `multiple`, or they have no labels.
        DataError: if one cannot be read.
    """
    if not images or images[0].target is None:
        raise codecframe.MismatchError("training takes images with labels")
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
    targets = np.array([image.target for image in images], np.int64)
    return Labelled(np.stack(read), targets)


def split(data: Labelled, held_out: int) -> tuple[Labelled, Labelled]:
    """(training, validation): `held_out` images, evenly spread, validate."""
    if held_out >= len(data):
        raise codecframe.SettingsError("held_out", held_out, f"fewer than the {len(data)} images")
    kept = np.ones(len(data), bool)
    if held_out:
        kept[np.arange(held_out) * len(data) // held_out] = False
    return (
        Labelled(data.images[kept], data.targets[kept]),
        Labelled(data.images[~kept], data.targets[~kept]),
    )


def to_tensor(images: U8) -> Tensor:
    """Images as `uint8`, (n, 3, height, width), channels last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


class Batches:
    """Batches of shifted, mirrored and cut images, the same for the same (seed, epoch).

    An image is mirrored in every other epoch, so that each two epochs show both views once (Jordan,
    "94 % on CIFAR-10 in 3.29 seconds", 2024).

    Args:
        data: what to make batches of.
        batch: images a batch; the last, smaller one of an epoch is left out.
        shift: how far an image moves at most, in pixels; edges are reflected.
        flip: whether images are mirrored.
        cutout: side of a grey square somewhere, or 0.
        seed: of order and augmentation.
    """

    def __init__(
        self, data: Labelled, batch: int, *, shift: int, flip: bool, cutout: int, seed: int
    ) -> None:
        self._targets = torch.from_numpy(data.targets)
        self._batch, self._shift, self._flip = min(batch, len(data)), shift, flip
        self._cutout, self._seed = cutout, seed
        self._size = data.images.shape[1:3]
        edges = ((0, 0), (shift, shift), (shift, shift), (0, 0))
        self._images = torch.from_numpy(np.pad(data.images, edges, mode="reflect"))
        self._phase = np.random.default_rng(seed).integers(0, 2, len(data))

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return len(self._targets) // self._batch

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(images `uint8`, (n, 3, height, width); targets `int64`, (n,)), batch by batch."""
        rng = np.random.default_rng([self._seed, number])
        order = rng.permutation(len(self._targets))
        for step in range(self.steps):
            index = order[step * self._batch : (step + 1) * self._batch]
            yield self._augmented(index, number, rng), self._targets[torch.from_numpy(index)]

    def _augmented(self, index: I64, epoch: int, rng: np.random.Generator) -> Tensor:
        height, width = self._size
        down, right = rng.integers(0, 2 * self._shift + 1, (2, len(index), 1))
        rows, columns = down + np.arange(height), right + np.arange(width)
        if self._flip:
            mirrored = (self._phase[index] + epoch) % 2 == 1
            columns[mirrored] = columns[mirrored, ::-1]
        at = (index[:, None, None], rows[:, :, None], columns[:, None, :])
        images = self._images[tuple(map(torch.from_numpy, at))]
        if self._cutout:
            images[self._squares(len(index), rng)] = 128
        return images.permute(0, 3, 1, 2)

    def _squares(self, count: int, rng: np.random.Generator) -> Tensor:
        """Where the grey squares are, (count, height, width)."""
        inside = []
        for side in self._size:
            start = rng.integers(-(self._cutout // 2), side, (count, 1))
            place = np.arange(side)
            inside.append((place >= start) & (place < start + self._cutout))
        return torch.from_numpy(inside[0][:, :, None] & inside[1][:, None, :])
