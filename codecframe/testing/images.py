"""Synthetic images for tests: made from a seed, read-only, the same on every machine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.image import Image


def natural_image(height: int = 48, width: int = 64, seed: int = 0) -> Image:
    """An image with what photographs have: shading, edges, texture, correlated colours, grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 32.0
    slope = rng.normal(0, 25, 2)
    luma = rng.uniform(90, 160) + slope[0] * (y - 0.7) + slope[1] * (x - 0.7)
    warmth = rng.normal(0, 12) + rng.normal(0, 10) * x
    for _ in range(4):  # soft-edged half planes: the outlines of things
        angle, offset = rng.uniform(0, 2 * math.pi), rng.uniform(0, 1.5)
        distance = x * math.cos(angle) + y * math.sin(angle) - offset
        inside = 1 / (1 + np.exp(-np.clip(distance * rng.uniform(8, 60), -50, 50)))
        luma += inside * rng.normal(0, 40)
        warmth += inside * rng.normal(0, 12)
    frequency = rng.uniform(4, 14, 2)
    luma += rng.uniform(2, 10) * np.sin(frequency[0] * x + frequency[1] * y)
    colours = np.stack([luma + warmth, luma, luma - warmth], axis=-1)
    return _frozen(colours + rng.normal(0, 2, colours.shape))


def flat_image(
    height: int = 48, width: int = 64, colour: tuple[int, int, int] = (90, 140, 60)
) -> Image:
    """An image of one colour."""
    return _frozen(np.full((height, width, 3), colour))


def noise_image(height: int = 48, width: int = 64, seed: int = 0) -> Image:
    """An image of independent random samples: the hardest to compress."""
    return _frozen(np.random.default_rng(seed).integers(0, 256, (height, width, 3)))


def psnr(image: Image, other: Image) -> float:
    """Peak signal-to-noise ratio in dB over all channels; infinite for equal images."""
    error = float(np.mean((image.astype(np.float64) - other) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _frozen(samples: npt.NDArray[Any]) -> Image:
    image: Image = np.clip(np.rint(samples), 0, 255).astype(np.uint8)
    image.setflags(write=False)
    return image
