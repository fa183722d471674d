"""Resolution as a setting: images are made smaller before a codec, and brought back after it.

    @dataclass(frozen=True, kw_only=True)
    class MySettings(codecframe.ScalableSettings): ...

    @codecframe.scalable
    class MyCodec(codecframe.Codec[MySettings]): ...

The plugin's own methods see small images only. A file is what the codec makes of the small image,
then 16 bytes that tell the size of the large one. They have the form of an unused box of ISO base
media files (ISO/IEC 14496-12, `free`); plain decoders pass over them and show the small image. A
payload has none of that: both ends know the size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from codecframe.core.codec import Codec
from codecframe.core.errors import DataError
from codecframe.core.image import Image, Shape, check_image, check_size
from codecframe.core.settings import Settings, option

SCALES = (1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25)
_MARK = b"\0\0\0\x10freeCFsz"
TRAILER = len(_MARK) + 4
"""Bytes that a file of a scaled image ends in."""
# a codec's own bytes may well end in the zeros and the length that a mark begins with
_MARKS_CUT_SHORT = tuple(_MARK[:kept] for kept in range(5, len(_MARK)))

C = TypeVar("C", bound=type[Codec[Any]])
Pixels = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ScalableSettings(Settings):
    """Settings with a resolution.

    Examples:
        >>> codec = cf.get_codec("jpeg")
        >>> isinstance(codec.settings(), cf.ScalableSettings)
        True
        >>> codec.decode(codec.encode(photo, scale=0.5)).shape  # coded at 24x32 pixels
        (48, 64, 3)
    """

    scale: float = option(
        1.0, choices=SCALES, help="encodes at so much of each side; decoding restores the size"
    )

    @cached_property
    def unscaled(self) -> Self:
        """The same at full resolution: for the small image."""
        return self.replace(scale=1.0)


def scalable(codec: C) -> C:
    """Class decorator: a subclass of a codec with `ScalableSettings` that does what they say.

    Examples:
        >>> class RawCodec(cf.Codec[cf.ScalableSettings]):
        ...     name = "raw"
        ...     settings_type = cf.ScalableSettings
        ...
        ...     def encode_image(self, image, settings):
        ...         return bytes([*image.shape[:2]]) + image.tobytes()
        ...
        ...     def decode(self, data):
        ...         return np.frombuffer(data[2:], np.uint8).reshape(data[0], data[1], 3)
        >>> codec = cf.scalable(RawCodec)()
        >>> len(codec.encode(photo, scale=0.5)) < len(codec.encode(photo)) / 3
        True
    """

    class Scaled(codec):  # type: ignore[valid-type, misc]
        def encode_image(self, image: Image, settings: ScalableSettings) -> bytes:
            if settings.scale == 1:
                return bytes(super().encode_image(image, settings))
            small = reduced(_checked(image, self.name), settings.scale)
            data = super().encode_image(small, settings.unscaled)
            return bytes(data) + _trailer(image.shape[:2])

        def encode_images(self, images: Iterable[Image], settings: ScalableSettings) -> list[bytes]:
            if settings.scale == 1:
                return list(super().encode_images(images, settings))
            everything = [_checked(image, self.name) for image in images]
            small = [reduced(image, settings.scale) for image in everything]
            datas = super().encode_images(small, settings.unscaled)
            return [d + _trailer(i.shape[:2]) for d, i in zip(datas, everything, strict=True)]

        def decode(self, data: bytes) -> Image:
            file, shape = _parted(data, self.name)
            image: Image = super().decode(file)
            return image if shape is None else enlarged(image, shape)

        def decode_many(self, datas: Iterable[bytes]) -> list[Image]:
            parted = [_parted(data, self.name) for data in datas]
            images = super().decode_many([file for file, _ in parted])
            return [
                image if shape is None else enlarged(image, shape)
                for image, (_, shape) in zip(images, parted, strict=True)
            ]

        def strip(self, data: bytes) -> bytes:
            marked = data[-TRAILER:-4] == _MARK
            return bytes(super().strip(data[:-TRAILER] if marked else data))

        def restore(self, payload: bytes, settings: ScalableSettings, shape: Shape) -> bytes:
            if settings.scale == 1:
                return bytes(super().restore(payload, settings, shape))
            small = reduced_shape(shape, settings.scale)
            return bytes(super().restore(payload, settings.unscaled, small)) + _trailer(shape)

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Scaled, name, getattr(codec, name))
    return Scaled  # type: ignore[return-value]


def reduced(image: Pixels, scale: float) -> Pixels:
    """The image, `uint8` or `float32`, at so much of each side, rounded, by Lanczos resampling.

    Examples:
        >>> cf.reduced(photo, 0.25).shape
        (12, 16, 3)
    """
    return _resized(image, reduced_shape(image.shape, scale), "LANCZOS")


def enlarged(image: Pixels, shape: Shape) -> Pixels:
    """The image, `uint8` or `float32`, at (height, width), by bicubic resampling.

    Examples:
        >>> cf.enlarged(cf.reduced(photo, 0.25), (48, 64)).shape
        (48, 64, 3)
    """
    return _resized(image, shape, "BICUBIC")


def reduced_shape(shape: tuple[int, ...], scale: float) -> Shape:
    """(height, width) of an image at a scale.

    Examples:
        >>> cf.reduced_shape((48, 64), 0.25)
        (12, 16)
    """
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


# -- sizes ------------------------------------------------------------------------------------


def _trailer(shape: tuple[int, ...]) -> bytes:
    return _MARK + struct.pack(">HH", *shape)


def _parted(data: bytes, source: str) -> tuple[bytes, Shape | None]:
    """(the codec's file, the size to restore, if any)."""
    if data[-TRAILER:-4] == _MARK:
        height, width = struct.unpack(">HH", data[-4:])
        if not height or not width:
            raise DataError(source, "says that it was made of an image without pixels")
        check_size(height, width, source)
        return data[:-TRAILER], (height, width)
    tail = data[-TRAILER:]
    if tail.endswith(_MARKS_CUT_SHORT) or _MARK in tail:
        raise DataError(source, "cut short: its size is incomplete")
    return data, None


def _checked(image: Image, source: str) -> Image:
    image = check_image(image, source)
    if max(image.shape[:2]) > 0xFFFF:
        raise DataError(source, "a side is longer than 65535 pixels")
    return image


def _resized(image: Pixels, shape: Shape, method: str) -> Pixels:
    from PIL import Image as PilImage

    if image.shape[:2] == shape:
        return image
    size, resampling = shape[::-1], PilImage.Resampling[method]
    if image.dtype == np.uint8:
        return np.array(PilImage.fromarray(image).resize(size, resampling))
    channels = np.moveaxis(image, -1, 0)
    made = [PilImage.fromarray(channel).resize(size, resampling) for channel in channels]
    return np.stack([np.array(channel) for channel in made], axis=-1)
