"""What an image is, and the limits that protect against absurd ones.

An image is a `uint8` array of shape (height, width, 3), RGB, C-contiguous.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import DataError, LimitError, shown

Image = npt.NDArray[np.uint8]
"""`uint8` array, (height, width, 3), RGB.

Examples:
    >>> image: cf.Image = np.zeros((48, 64, 3), np.uint8)  # 64 pixels wide, black
"""

Shape = tuple[int, int]
"""(height, width) in pixels.

Examples:
    >>> shape: cf.Shape = photo.shape[:2]
    >>> shape
    (48, 64)
"""

DEFAULT_MAX_PIXELS = 178_956_970
"""Pillow's own limit; `CODECFRAME_MAX_PIXELS` or `limit_pixels` sets another."""

_FROM_ENVIRONMENT = os.environ.get("CODECFRAME_MAX_PIXELS")  # asking each time slows decoding down
_max_pixels: ContextVar[int | None] = ContextVar("codecframe_max_pixels", default=None)


def max_pixels() -> int:
    """The largest number of pixels that will be read or decoded.

    The environment variable `CODECFRAME_MAX_PIXELS` counts as it was when Python started.

    Raises:
        LimitError: if that is not a positive integer.
    """
    value = _max_pixels.get()
    if value is not None:
        return value
    text = _FROM_ENVIRONMENT
    if text is None:
        return DEFAULT_MAX_PIXELS
    if not text.isdecimal() or int(text) == 0:
        raise LimitError(f"CODECFRAME_MAX_PIXELS is {shown(text)}: expected a positive integer")
    return int(text)


@contextmanager
def limit_pixels(pixels: int) -> Iterator[None]:
    """Set the pixel limit for the code inside the `with` block.

    The limit belongs to the current context; `map_threads` hands it to its worker threads.

    Examples:
        >>> with cf.limit_pixels(10_000):
        ...     image = cf.read_image("photo.png")
    """
    token = _max_pixels.set(pixels)
    try:
        yield
    finally:
        _max_pixels.reset(token)


def check_size(height: int, width: int, source: str) -> None:
    """Refuse a declared image size *before* memory is taken for it.

    Every decoder calls this with the size that it read from the header.

    Raises:
        DataError: if a side is not positive.
        LimitError: if the image has more than `max_pixels()` pixels.

    Examples:
        >>> cf.check_size(48, 64, "mine")
        >>> cf.check_size(2**31, 2**31, "mine")
        Traceback (most recent call last):
        LimitError: mine: 2147483648x2147483648 is ... pixels, over the limit of ...
    """
    if height < 1 or width < 1:
        raise DataError(source, f"declares an impossible size of {width}x{height} pixels")
    allowed = max_pixels()
    if height * width > allowed:
        raise LimitError(
            f"{source}: {width}x{height} is {height * width:,} pixels, over the limit of "
            f"{allowed:,}; raise it with CODECFRAME_MAX_PIXELS or codecframe.limit_pixels()"
        )


def check_image(image: object, source: str = "image") -> Image:
    """Return `image` as a C-contiguous image, or say what is wrong with it.

    Raises:
        DataError: if it is not a `uint8` array of shape (height, width, 3) with positive sides.

    Examples:
        >>> cf.check_image(photo).shape
        (48, 64, 3)
        >>> cf.check_image(photo / 255)
        Traceback (most recent call last):
        DataError: image: expected a uint8 array of shape (height, width, 3), got float64 of ...
    """
    if not isinstance(image, np.ndarray):
        raise DataError(source, f"expected a numpy array, got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise DataError(
            source,
            "expected a uint8 array of shape (height, width, 3), "
            f"got {image.dtype} of shape {image.shape}",
        )
    return np.ascontiguousarray(image)


def to_png(image: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of an image, or of one channel."""
    from PIL import Image as PilImage

    buffer = io.BytesIO()
    PilImage.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
