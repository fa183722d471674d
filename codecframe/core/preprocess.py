"""What a head does to images before its model sees them, declared as data.

    preprocess:
      resize: 256            # short side
      crop: 224              # from the centre
      interpolation: bicubic
      mean: [0.485, 0.456, 0.406]
      std: [0.229, 0.224, 0.225]

Sizes and positions are rounded as the usual ImageNet evaluation rounds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import MismatchError, SettingsError
from codecframe.core.image import Image, Shape, check_size
from codecframe.core.settings import Settings, option

FITS = ("stretch", "letterbox", "corner")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


@dataclass(frozen=True, kw_only=True)
class Preprocess(Settings):
    """Geometry, then `(pixel * scale - mean) / std` for each channel.

    An image that already has the final size keeps its geometry, so that one which was prepared
    before a codec is not resized again after it.

    Examples:
        >>> preprocess = cf.Preprocess(resize=32, crop=[32, 32], mean=[0.5], std=[0.25])
        >>> preprocess.final_shape
        (32, 32)
        >>> batch = preprocess.batch([photo])
        >>> batch.shape, batch.dtype
        ((1, 3, 32, 32), dtype('float32'))
    """

    resize: int | tuple[int, ...] | None = option(
        None, low=1, high=65535, help="short side, or exact [height, width]; none keeps the size"
    )
    crop: int | tuple[int, ...] | None = option(
        None, low=1, high=65535, help="side, or [height, width], cut from the centre; none: no cut"
    )
    fit: str = option(
        "stretch",
        choices=FITS,
        help="how an exact resize is filled: stretched; or in proportion, with `fill` around it "
        "(`letterbox`), or to its right and below (`corner`)",
    )
    fill: int = option(114, low=0, high=255, help="grey of what an image does not fill")
    interpolation: str = option("bilinear", choices=INTERPOLATIONS, help="of the resize")
    scale: float = option(1 / 255, help="factor on pixel values")
    mean: tuple[float, ...] = option((0.0, 0.0, 0.0), help="taken away, one value or three")
    std: tuple[float, ...] = option((1.0, 1.0, 1.0), help="divided by, one value or three")
    layout: str = option("nchw", choices=("nchw", "nhwc"), help="axes of the batch")
    channels: str = option("rgb", choices=("rgb", "bgr"), help="order of the channels")
    dtype: str = option(
        "float32",
        choices=("float32", "uint8"),
        help="of the batch; uint8 passes pixels on as they are, without scale, mean and std",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("resize", "crop"):
            sides = getattr(self, name)
            if isinstance(sides, tuple) and len(sides) != 2:
                raise SettingsError(name, list(sides), "one side, or [height, width]")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) not in (1, 3) or not np.isfinite(values).all():
                raise SettingsError(name, list(values), "one finite number or three")
        if self.fit != "stretch" and (self.crop or not isinstance(self.resize, tuple)):
            raise SettingsError("fit", self.fit, "an exact `resize` [height, width], and no crop")
        if 0 in self.std:
            raise SettingsError("std", list(self.std), "numbers other than 0")

    @classmethod
    def of(cls, value: Preprocess | Mapping[str, Any] | None) -> Preprocess:
        """From itself, from plain data, or the default from nothing.

        Raises:
            SettingsError: for an unknown name or a value out of range.
        """
        if isinstance(value, Preprocess):
            return value
        return cls.from_dict(value or {})

    @classmethod
    def for_input(
        cls, value: Preprocess | Mapping[str, Any] | None, shape: Shape | None, **facts: str
    ) -> Preprocess:
        """What a user asked for, completed by what a model file says of its input.

        Args:
            value: as `of` takes it; what it does not say comes from the model.
            shape: (height, width) that the model insists on, or None.
            facts: other fields that the model determines, e.g. `layout`.

        Raises:
            SettingsError: as `of`.
            MismatchError: if the model does not take images of the size that was asked for.
        """
        asked = cls.of(value).changed()
        if shape is not None and "crop" not in asked and not isinstance(asked.get("resize"), list):
            asked["crop" if "resize" in asked else "resize"] = list(shape)
        made = cls.from_dict({**facts, **asked})
        if shape is not None and made.final_shape != shape:
            raise MismatchError(
                f"preprocess makes images of {_words(made.final_shape)}, "
                f"but the model takes {_words(shape)}"
            )
        return made

    @property
    def final_shape(self) -> Shape | None:
        """(height, width) of what the model gets, or None where it depends on the image."""
        if self.crop is not None:
            return _pair(self.crop)
        return _pair(self.resize) if isinstance(self.resize, tuple) else None

    @property
    def prepared_shape(self) -> Shape | None:
        """(height, width) of what `geometry` gives, or None where it depends on the image."""
        return self.final_shape if self.fit == "stretch" else None

    def geometry(self, image: Image) -> Image:
        """Resize and crop; `uint8` in and out. An image of the final size comes back unchanged.

        Where an image is smaller than the crop, its edge pixels are repeated. What is in proportion
        is filled up by `batch`, not here: nothing need be sent of the rest.

        Raises:
            LimitError: if the image would become larger than the pixel limit.
        """
        if image.shape[:2] == self.final_shape:
            return image
        if self.crop is None:
            return self._resized(image)
        crop = _pair(self.crop)
        if isinstance(self.resize, int):
            image = _shortened(image, max(8, 2 * -(-max(crop) // self.resize)))
        return _padded(_centre(self._resized(image), crop), crop)

    def batch(self, images: Sequence[Image]) -> npt.NDArray[Any]:
        """A model's input: `dtype`, (images, 3, height, width), or with channels last.

        Raises:
            MismatchError: if the images differ in size and the geometry does not make them equal.
        """
        ready = [self._filled(self.geometry(image)) for image in images]
        shapes = {image.shape[:2] for image in ready}
        if len(shapes) != 1:
            raise MismatchError(
                f"a batch of {len(images)} images has {len(shapes)} sizes: "
                "preprocess needs a crop or an exact resize"
            )
        planar = self.layout == "nchw"
        height, width = shapes.pop()
        axes = (3, height, width) if planar else (height, width, 3)
        values = np.empty((len(ready), *axes), self.dtype)
        for row, image in zip(values, ready, strict=True):
            ordered = image[:, :, ::-1] if self.channels == "bgr" else image
            row[...] = ordered.transpose(2, 0, 1) if planar else ordered
        if self.dtype == "float32":
            factor, offset = self.normalisation
            values *= factor[:, None, None] if planar else factor
            values -= offset[:, None, None] if planar else offset
        return values

    def place(self, shape: Shape) -> tuple[int, int, int, int]:
        """Where in the model's input an image of `shape` lies: (top, left, height, width).

        Raises:
            MismatchError: if the geometry cuts images.
        """
        if self.crop is not None:
            raise MismatchError("preprocess has a crop: what is cut off has no place")
        height, width = self._size_of(shape)
        top, left = 0, 0
        if self.fit == "letterbox" and self.final_shape:
            top = round((self.final_shape[0] - height) / 2 - 0.1)
            left = round((self.final_shape[1] - width) / 2 - 0.1)
        return max(top, 0), max(left, 0), height, width

    def _filled(self, image: Image) -> Image:
        """An image in proportion, on the grey of what it does not fill."""
        shape = self.final_shape
        if self.fit == "stretch" or shape is None or image.shape[:2] == shape:
            return image
        top, left, height, width = self.place(image.shape[:2])
        made = np.full((*shape, 3), self.fill, np.uint8)
        made[top : top + height, left : left + width] = image
        return made

    def pixel_gradients(self, gradients: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Derivatives with respect to what `batch` made, as ones with respect to the pixels of
        images of the final size, `float32`, (images, height, width, 3).
        """
        values = gradients
        if self.layout == "nchw":
            values = values.transpose(0, 2, 3, 1)
        if self.dtype == "float32":
            values = values * self.normalisation[0]
        return np.ascontiguousarray(values[..., ::-1] if self.channels == "bgr" else values)

    @property
    def normalisation(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """(factor, offset), `float32`, (3,): the model's value is pixel * factor - offset."""
        std = np.broadcast_to(self.std, 3)
        return (self.scale / std).astype(np.float32), (self.mean / std).astype(np.float32)

    def _resized(self, image: Image) -> Image:
        new = self._size_of(image.shape[:2])
        if new == image.shape[:2]:
            return image
        from PIL import Image as PilImage

        check_size(*new, "resized image")
        method = PilImage.Resampling[self.interpolation.upper()]
        return np.array(PilImage.fromarray(image).resize((new[1], new[0]), method))

    def _size_of(self, shape: Shape) -> Shape:
        """(height, width) that an image of `shape` is resized to."""
        height, width = shape
        if self.resize is None:
            return height, width
        if not isinstance(self.resize, tuple):
            short = min(height, width)
            return self.resize * height // short, self.resize * width // short
        if self.fit == "stretch":
            return _pair(self.resize)
        share = min(self.resize[0] / height, self.resize[1] / width)
        return max(1, round(height * share)), max(1, round(width * share))


IMAGENET = Preprocess(resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What most published ImageNet classifiers were trained with."""


def _pair(side: int | tuple[int, ...]) -> Shape:
    return (side, side) if isinstance(side, int) else (side[0], side[1])


def _words(shape: Shape | None) -> str:
    return f"{shape[0]}x{shape[1]} (height x width)" if shape else "any size"


def _shortened(image: Image, aspect: int) -> Image:
    """Without the ends of an image more than `aspect` times longer than wide: the crop would drop
    them, and to enlarge them first might take any amount of memory."""
    longest = min(image.shape[:2]) * aspect
    return _centre(image, (longest, longest))


def _centre(image: Image, shape: Shape) -> Image:
    """What of the image lies in a window of `shape` in its middle."""
    height, width = min(image.shape[0], shape[0]), min(image.shape[1], shape[1])
    top, left = round((image.shape[0] - height) / 2), round((image.shape[1] - width) / 2)
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _padded(image: Image, shape: Shape) -> Image:
    """The image in the middle of `shape`, its edges repeated."""
    missing = [wanted - side for wanted, side in zip(shape, image.shape, strict=False)]
    if not any(missing):
        return image
    pads = [(need // 2, need - need // 2) for need in missing]
    return np.pad(image, [*pads, (0, 0)], mode="edge")
