"""Scenes whose truth is known: shapes drawn faintly over a photograph."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage
from PIL import ImageDraw

from codecframe.core.image import Image

CLASSES = ("circle", "square", "triangle")
SIDE = 256
"""Height and width of a scene in pixels."""
_SHARP = 4
"""Shapes are drawn so many times larger and reduced, so that their edges are smooth."""
_GAP = 6
"""Pixels that are at least between the boxes of two shapes."""
_TRIES = 50


@dataclass(frozen=True)
class Scene:
    """A photograph with shapes.

    Attributes:
        image: `uint8`, (height, width, 3).
        corners: x0, y0, x1, y1 of each shape in pixels, (n, 4).
        classes: indices into `CLASSES`, (n,).
    """

    image: Image
    corners: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]


def cropped(photo: Image, random: np.random.Generator, *, side: int = SIDE) -> Image:
    """A random square of a photograph, 60 % of the largest that there is or more.

    Args:
        photo: `uint8`, (height, width, 3).
        random: draws.
        side: height and width that it is brought to, in pixels.
    """
    height, width = photo.shape[:2]
    window = min(height, width) * random.uniform(0.6, 1)
    left, top = random.uniform(0, width - window), random.uniform(0, height - window)
    picture = PilImage.fromarray(photo).resize(
        (side, side), PilImage.Resampling.BICUBIC, (left, top, left + window, top + window)
    )
    return np.asarray(picture)


def draw_scene(image: Image, random: np.random.Generator, count: int) -> Scene:
    """An image with up to `count` shapes that do not touch, each a veil of one colour."""
    height, width = image.shape[:2]
    made = image.astype(np.float32)
    corners: list[tuple[float, float, float, float]] = []
    classes: list[int] = []
    for _ in range(_TRIES):
        if len(classes) == count:
            break
        radius = random.uniform(13, 34)
        x, y = random.uniform(radius, width - radius), random.uniform(radius, height - radius)
        kind = int(random.integers(len(CLASSES)))
        outline = _outline(CLASSES[kind], radius, random) + np.array([x, y])
        box = (*outline.min(axis=0), *outline.max(axis=0))
        if any(_near(box, other) for other in corners):
            continue
        left, top = int(box[0]), int(box[1])
        cover = _cover(outline - (left, top), (int(box[2]) + 1 - left, int(box[3]) + 1 - top))
        part = made[top : top + len(cover), left : left + cover.shape[1]]
        cover = cover[: len(part), : part.shape[1], None]
        under = (part * cover).sum(axis=(0, 1)) / cover.sum()
        veil = _colour_unlike(under, random)
        part += cover * np.float32(random.uniform(0.15, 0.4)) * (veil - part)
        corners.append(box)
        classes.append(kind)
    return Scene(
        made.round().clip(0, 255).astype(np.uint8),
        np.array(corners, np.float64).reshape(-1, 4),
        np.array(classes, np.int64),
    )


def _outline(kind: str, radius: float, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Points around (0, 0), (n, 2)."""
    points = {"circle": 64, "square": 4, "triangle": 3}[kind]
    start = random.uniform(0, 2 * math.pi)
    if kind == "square":  # nearly upright, so that its box fits it
        start = math.pi / 4 + random.uniform(-0.3, 0.3)
    angles = start + 2 * math.pi * np.arange(points) / points
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _cover(outline: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """How much of each pixel lies inside, 0 to 1, (height, width)."""
    large = PilImage.new("L", (size[0] * _SHARP, size[1] * _SHARP))
    ImageDraw.Draw(large).polygon([tuple(point) for point in outline * _SHARP], fill=255)
    return np.asarray(large.reduce(_SHARP), np.float32) / np.float32(255)


def _colour_unlike(
    under: npt.NDArray[np.float32], random: np.random.Generator
) -> npt.NDArray[np.float32]:
    """A random colour that is far from what it covers."""
    while True:
        colour = random.uniform(0, 255, 3).astype(np.float32)
        if np.abs(colour - under).mean() > 80:
            return colour


def _near(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    gap = _GAP
    return (
        one[0] - gap < other[2]
        and other[0] - gap < one[2]
        and one[1] - gap < other[3]
        and other[1] - gap < one[3]
    )
