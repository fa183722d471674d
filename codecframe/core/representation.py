"""What decoding yields and heads accept: pixels, or the latents of a named space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Representation:
    """A kind of decoded data. Two sides fit when their representations are equal.

    Examples:
        >>> cf.Representation("pixels") == cf.PIXELS
        True
    """

    name: str

    def __str__(self) -> str:
        return self.name


PIXELS = Representation("pixels")
"""Images: `uint8`, (height, width, 3), RGB.

Examples:
    >>> cf.PIXELS in cf.get_codec("webp").emits
    True
"""


@dataclass(frozen=True)
class LatentSpace(Representation):
    """The integer latents of one trained model.

    `name` identifies the trained encoder (name and digest), so that a head trained on other
    latents is refused rather than silently wrong.

    Examples:
        >>> space = cf.LatentSpace("mine-3f2a", channels=8, stride=4)
        >>> print(space)
        mine-3f2a
    """

    channels: int
    stride: int


@dataclass(frozen=True)
class Latents:
    """Integer latents of one image.

    Attributes:
        space: the space they belong to.
        values: `int32`, (channels, height, width).
        level: the rate level (quantisation step) at which they were made.
        shape: (height, width) of the image they were made from.

    Examples:
        >>> space = cf.LatentSpace("mine-3f2a", channels=8, stride=4)
        >>> latents = cf.Latents(space, np.zeros((8, 12, 16), np.int32), level=0, shape=(48, 64))
        >>> latents.values.shape
        (8, 12, 16)
    """

    space: LatentSpace
    values: npt.NDArray[np.int32]
    level: int
    shape: tuple[int, int]
