"""From what decoder libraries return to an image: for codec plugins."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import DataError
from codecframe.core.image import Image


def to_image(samples: npt.NDArray[Any], source: str, *, bits: int | None = None) -> Image:
    """Decoded samples as an image.

    Greyscale is repeated in three channels, alpha is laid over white, depth is brought to 8 bits.

    Args:
        samples: unsigned integers, (height, width) or (height, width, 1 to 4 channels).
        source: the codec, for the error.
        bits: depth of the samples where it is not that of their type, e.g. 10 in a `uint16`.

    Raises:
        DataError: for samples of another shape or type.

    Examples:
        >>> grey = np.uint16([[0, 65535]])
        >>> cf.to_image(grey, "mine").tolist()
        [[[0, 0, 0], [255, 255, 255]]]
    """
    if samples.dtype.kind != "u" or samples.ndim not in (2, 3):
        raise DataError(source, f"has samples that are not an image: {samples.dtype}")
    if samples.ndim == 2:
        samples = samples[:, :, None]
    channels = samples.shape[2]
    if not 1 <= channels <= 4 or samples.size == 0:
        raise DataError(source, f"has samples that are not an image: {samples.shape}")
    largest = (1 << (bits or 8 * samples.itemsize)) - 1
    if largest != 255:
        samples = (samples.astype(np.uint64) * 255 + largest // 2) // largest
    if channels in (2, 4):
        weight = samples[:, :, -1:].astype(np.uint32)  # over white
        samples = (samples[:, :, :-1] * weight + 255 * (255 - weight) + 127) // 255
    if channels < 3:
        samples = np.repeat(samples, 3, axis=2)
    return np.ascontiguousarray(samples, np.uint8)
