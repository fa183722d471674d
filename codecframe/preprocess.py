"""What a head does to images before its network sees them, declared as data.

preprocess:
  resize: 256            # short side
  crop: 224              # from the centre
  interpolation: bicubic
  mean: [0.485, 0.456, 0.406]
  std: [0.229, 0.224, 0.225]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.image import Image, Shape
from codecframe.settings import Settings, option

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


@dataclass(frozen=True, kw_only=True)
class Preprocess(Settings):
    """Geometry, then `(pixel * scale - mean) / std` for each channel.

    An image that already has the final size keeps its geometry, so that one which was prepared
    before a codec is not resized again after it.
    """

    resize: int | tuple[int, ...] | None = option(
        None, low=1, high=65535, help="short side, or exact [height, width]; none keeps the size"
    )
    crop: int | tuple[int, ...] | None = option(
        None, low=1, high=65535, help="side, or [height, width], cut from the centre; none: no cut"
    )
    interpolation: str = option("bilinear", choices=INTERPOLATIONS, help="of the resize")
    scale: float = option(1 / 255, help="factor on pixel values")
    mean: tuple[float, ...] = option((0.0, 0.0, 0.0), help="taken away, one value or three")
    std: tuple[float, ...] = option((1.0, 1.0, 1.0), help="divided by, one value or three")
    layout: str = option("nchw", choices=("nchw", "nhwc"), help="axes of the batch")
    channels: str = option("rgb", choices=("rgb", "bgr"), help="order of the channels")

    @property
    def final_shape(self) -> Shape | None:
        """(height, width) of the result, or None where it depends on the image."""
        if self.crop is not None:
            return _pair(self.crop)
        if isinstance(self.resize, tuple):
            return _pair(self.resize)
        return None

    def geometry(self, image: Image) -> Image:
        """Resize and crop; `uint8` in and out. An image of the final size comes back unchanged."""
        if image.shape[:2] == self.final_shape:
            return image
        if self.resize is not None:
            image = self._resized(image)
        if self.crop is not None:
            image = _centre(image, *_pair(self.crop))
        return np.ascontiguousarray(image)

    def batch(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """A network's input: `float32`, (images, 3, height, width), or with channels last.

        Raises:
            ValueError: if the images differ in size and the geometry does not make them equal.
        """
        ready = [self.geometry(image) for image in images]
        if len({image.shape for image in ready}) > 1:
            raise ValueError("images of different sizes need a crop or an exact resize")
        stacked = np.stack(ready).astype(np.float32)
        if self.channels == "bgr":
            stacked = stacked[..., ::-1]
        factor = np.float32(self.scale) / np.asarray(self.std, np.float32)
        offset = np.asarray(self.mean, np.float32) / np.asarray(self.std, np.float32)
        values = stacked * factor - offset
        if self.layout == "nchw":
            values = values.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(values, dtype=np.float32)

    def _resized(self, image: Image) -> Image:
        from PIL import Image as PilImage

        height, width = image.shape[:2]
        if isinstance(self.resize, tuple):
            new_height, new_width = _pair(self.resize)
        else:
            side = self.resize or min(height, width)
            new_height = max(1, round(height * side / min(height, width)))
            new_width = max(1, round(width * side / min(height, width)))
        if (new_height, new_width) == (height, width):
            return image
        method = PilImage.Resampling[self.interpolation.upper()]
        return np.asarray(PilImage.fromarray(image).resize((new_width, new_height), method))

    @classmethod
    def of(cls, value: Preprocess | Mapping[str, Any] | None) -> Preprocess:
        """From itself, from plain data, or the default from nothing.

        Raises:
            SettingsError: for an unknown name or a value out of range.
        """
        if isinstance(value, Preprocess):
            return value
        return cls.from_dict(value or {})


def _pair(side: int | tuple[int, ...]) -> Shape:
    return (side, side) if isinstance(side, int) else (side[0], side[-1])


def _centre(image: Image, height: int, width: int) -> Image:
    """Cut from the centre; what is missing at the borders is filled with the edge's pixels."""
    missing = (max(0, height - image.shape[0]), max(0, width - image.shape[1]))
    if any(missing):
        pads = [(need // 2, need - need // 2) for need in missing]
        image = np.pad(image, [*pads, (0, 0)], mode="edge")
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]
