"""Batches of a training: seeded, of the right shape, and what augmentation does to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from codecframe_vae.training.data import Batches, Labelled
from codecframe_vae.training.recipes import ClassifierRecipe

PLAIN = {"batch": 50, "shift": 0, "flip": False}


def labelled(count: int = 200, height: int = 16, width: int = 24) -> Labelled:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, height, width, 3)).astype(np.uint8)
    return Labelled(images, rng.integers(0, 7, count))


def batches(**options: object) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(Batches(labelled(), 7, ClassifierRecipe(**{**PLAIN, **options})).epoch(3))


@pytest.mark.parametrize(
    "options", [{}, {"shift": 3}, {"flip": True}, {"cutout": 5}, {"mix": 0.5}, {"batch": 64}]
)
def test_shapes_and_seeds(options: dict[str, Any]) -> None:
    made = batches(**options)
    size = int(options.get("batch", 50))
    assert len(made) == 200 // size
    for images, targets in made:
        assert images.dtype == torch.uint8
        assert images.shape == (size, 3, 16, 24)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert targets.shape == (size, 7)
        assert torch.allclose(targets.sum(1), torch.ones(size))
    for one, two in zip(made, batches(**options), strict=True):
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1], two[1])
    other = batches(**options, seed=1)
    assert not torch.equal(made[0][0], other[0][0])


def test_without_augmentation_every_image_comes_once() -> None:
    data = labelled()
    seen = torch.cat([images for images, _ in batches()]).permute(0, 2, 3, 1).numpy()
    targets = torch.cat([targets for _, targets in batches()]).argmax(1).numpy()
    order = {image.tobytes(): number for number, image in enumerate(data.images)}
    numbers = [order[image.tobytes()] for image in np.ascontiguousarray(seen)]
    assert sorted(numbers) == list(range(200))
    assert (data.targets[numbers] == targets).all()


def test_shifted_images_are_windows_of_reflected_ones() -> None:
    data = labelled(60)
    padded = np.pad(data.images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    recipe = ClassifierRecipe(batch=60, shift=2, flip=False)
    images, _ = next(Batches(data, 7, recipe).epoch(0))
    windows = {
        padded[i, y : y + 16, x : x + 24].tobytes()
        for i in range(60)
        for y in range(5)
        for x in range(5)
    }
    shown = images.permute(0, 2, 3, 1).numpy()
    assert all(image.tobytes() in windows for image in np.ascontiguousarray(shown))


def test_two_epochs_show_both_views() -> None:
    data = labelled(50)
    maker = Batches(data, 7, ClassifierRecipe(batch=50, shift=0, flip=True))
    views = set()
    for epoch in (0, 1):
        images, _ = next(maker.epoch(epoch))
        views |= {image.tobytes() for image in np.ascontiguousarray(images.permute(0, 2, 3, 1))}
    expected = {np.ascontiguousarray(v).tobytes() for i in data.images for v in (i, i[:, ::-1])}
    assert views == expected


def test_cutout_leaves_one_grey_square() -> None:
    white = Labelled(np.full((50, 16, 24, 3), 255, np.uint8), np.zeros(50, np.int64))
    recipe = ClassifierRecipe(batch=50, shift=0, flip=False, cutout=6)
    images, _ = next(Batches(white, 7, recipe).epoch(0))
    grey = (images == 128).all(1)
    assert (grey.sum((1, 2)) <= 36).all()
    assert grey.sum((1, 2)).float().mean() > 15
    assert ((images == 255) | (images == 128)).all()


def test_a_mixed_image_has_as_much_of_each_class_as_of_each_image() -> None:
    shades = np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 24, 3), np.uint8)
    data = Labelled(shades, np.arange(50))
    recipe = ClassifierRecipe(batch=50, shift=0, flip=False, mix=1.0)
    images, targets = next(Batches(data, 50, recipe).epoch(0))
    for image, target in zip(images, targets, strict=True):
        counts = torch.bincount(image[0].flatten().long(), minlength=50) / (16 * 24)
        assert torch.allclose(counts, target, atol=1e-6)
    assert ((targets > 0).sum(1) == 2).float().mean() > 0.7
