"""What benchmarks share."""

from __future__ import annotations

import numpy as np

from codecframe.core.image import Image
from codecframe.testing import natural_image


def crops(count: int, side: int, *, of: int, seed: int) -> list[Image]:
    """Small images, cut out of one of `of` x `of` pixels at random, the same ones every time."""
    large = natural_image(of, of, seed=seed)
    corners = np.random.default_rng(0).integers(0, of - side, (count, 2))
    return [np.ascontiguousarray(large[y : y + side, x : x + side]) for y, x in corners]
