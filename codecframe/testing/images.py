"""Synthetic images for tests: made from a seed, and read-only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.image import Image


def natural_image(height: int = 48, width: int = 64, seed: int = 0) -> Image:
    """An image with what photographs have: shading, outlines, texture at all scales, grain.

    JPEG spends about as many bytes on it as on a photograph of that size.

    Examples:
        >>> from codecframe.testing import natural_image
        >>> natural_image(48, 64, seed=1).shape
        (48, 64, 3)
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 32.0
    brightness = rng.normal(0, 25) + rng.normal(0, 15) * y + rng.normal(0, 15) * x
    warmth = rng.normal(0, 15) + rng.normal(0, 10) * x
    for _ in range(8):  # half planes: the outlines of things
        angle, top, left = rng.uniform(0, 2 * math.pi), rng.choice(y[:, 0]), rng.choice(x[0])
        distance = (y - top) * math.sin(angle) + (x - left) * math.cos(angle)
        side = np.tanh(distance * rng.uniform(5, 60))
        brightness += side * rng.normal(0, 20)
        warmth += side * rng.normal(0, 5)
    for octave in range(7):
        amplitude = 36 * 0.87**octave * rng.uniform(0.3, 1)
        scale = 0.7 * 2**octave
        brightness += amplitude * _smooth_noise(rng, y * scale, x * scale)
        warmth += 0.3 * amplitude * _smooth_noise(rng, y * scale, x * scale)
    colours = np.stack([brightness + warmth, brightness, brightness - warmth], axis=-1)
    colours += rng.normal(0, 4, colours.shape)
    return _frozen(128 + 127 * np.tanh(colours / 127))


def flat_image(
    height: int = 48, width: int = 64, colour: tuple[int, int, int] = (90, 140, 60)
) -> Image:
    """An image of one colour.

    Examples:
        >>> from codecframe.testing import flat_image
        >>> flat_image(colour=(255, 0, 0))[0, 0].tolist()
        [255, 0, 0]
    """
    return _frozen(np.full((height, width, 3), colour))


def noise_image(height: int = 48, width: int = 64, seed: int = 0) -> Image:
    """An image of independent random samples: the hardest to compress.

    Examples:
        >>> from codecframe.testing import noise_image
        >>> len(cf.get_codec("png").encode(noise_image(48, 64))) > 48 * 64 * 3
        True
    """
    return _frozen(np.random.default_rng(seed).integers(0, 256, (height, width, 3)))


def psnr(image: Image, other: Image) -> float:
    """Peak signal-to-noise ratio in dB over all channels; infinite for equal images.

    Examples:
        >>> from codecframe.testing import psnr
        >>> codec = cf.get_codec("webp")
        >>> psnr(photo, codec.decode(codec.encode(photo, quality=90))) > 25
        True
    """
    error = float(np.mean((image.astype(np.float64) - other) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _smooth_noise(
    rng: np.random.Generator, y: npt.NDArray[Any], x: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Noise with features of size 1 at the coordinates: random values on a grid, interpolated."""
    grid = rng.normal(size=(64, 64))
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    v, u = y - i, x - j

    top, bottom = (
        grid[row % 64, j % 64] * (1 - u) + grid[row % 64, (j + 1) % 64] * u for row in (i, i + 1)
    )
    return np.asarray(top * (1 - v) + bottom * v)


def _frozen(samples: npt.NDArray[Any]) -> Image:
    image: Image = np.clip(np.rint(samples), 0, 255).astype(np.uint8)
    image.setflags(write=False)
    return image
