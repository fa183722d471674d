"""The HEIC codec."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np

import codecframe
from codecframe import Image, Shape, require, to_image
from codecframe.core import isobmff
from codecframe.core.colour import cicp_profile
from codecframe_heic import container
from codecframe_heic.settings import HeicSettings

_INSTALL = "codecframe[heic]"
_MAX_STRIPPED = 1 << 18
"""Images of more pixels keep their 0.5 kB of boxes: to know them means to encode a blank image."""


@codecframe.scalable
class HeicCodec(codecframe.Codec[HeicSettings]):
    """HEIC: HEVC (H.265) still images in a HEIF container, by x265 and libheif.

    `strip` leaves the coded slice of an image of at most 2**18 pixels; the rest is rebuilt by
    encoding a blank image, so both ends need the same release of pillow-heif. A file that
    cannot be rebuilt that way ends in an empty box and is its own payload.
    """

    name = "heic"
    extension = ".heic"
    summary = "HEVC still images: close to AVIF, the format of phone cameras"
    settings_type = HeicSettings
    presets = Path(__file__).parent / "presets"
    requires = {"pillow_heif": _INSTALL}  # noqa: RUF012 - declared as a class variable by the base

    def encode_image(self, image: Image, settings: HeicSettings) -> bytes:
        """Encode into a HEIC file. See `codecframe.Codec.encode`."""
        image = codecframe.check_image(image)
        data = _encode(image, settings)
        try:
            head, _ = container.split(data)
        except ValueError:
            return data
        if _too_large(data) or head == _promised(settings, image.shape[:2]):
            return data
        return data + container.UNEXPECTED

    def decode(self, data: bytes) -> Image:
        """Decode any HEIC file: its primary image. See `codecframe.Codec.decode`.

        Greyscale is repeated in three channels, alpha laid over white, depth brought to 8 bits.
        """
        with codecframe.as_data_error(self.name, ValueError):
            size = isobmff.declared_size(data, isobmff.image_properties(data))
        codecframe.check_size(*size, self.name)
        library = _library()
        with codecframe.as_data_error(self.name):
            picture = library.open_heif(data, convert_hdr_to_8bit=True)
            samples = np.array(picture)  # a copy: older releases free the memory with `picture`
        return to_image(samples, self.name)

    def icc_profile(self, data: bytes) -> bytes | None:
        """Of the primary image. See `codecframe.Codec.icc_profile`."""
        with codecframe.as_data_error(self.name):
            numbers = isobmff.colour_numbers(data, isobmff.image_properties(data))
            found = _library().open_heif(data, convert_hdr_to_8bit=True).info.get("icc_profile")
            if isinstance(found, bytes) and found:
                return found
            return None if numbers is None else cicp_profile(*numbers)

    def strip(self, data: bytes) -> bytes:
        """The coded slice. See the class."""
        try:
            _, coded = container.split(data)
            if _too_large(data) or container.is_file(coded):
                return data
        except ValueError:
            return data
        return coded

    def restore(self, payload: bytes, settings: HeicSettings, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        if container.is_file(payload):
            return payload
        codecframe.check_size(*shape, self.name)
        if shape[0] * shape[1] > _MAX_STRIPPED:
            raise codecframe.DataError(self.name, "a bare slice of an image that large")
        return container.join(_promised(settings, shape), payload)


def _library() -> ModuleType:
    return require("pillow_heif", _INSTALL)


def _encode(image: Image, settings: HeicSettings) -> bytes:
    height, width = image.shape[:2]
    deepest = 3 if min(height, width) < 32 else 4  # for smaller coding blocks in a small image
    parameters = {
        "x265:tu-intra-depth": str(min(settings.intra_depth, deepest)),
        "x265:tu-inter-depth": "1",  # a still image has no inter blocks
        # no threads: else the bytes would depend on the number of cores, and be more
        "x265:wpp": "0",
        "x265:pools": "none",
        **settings.encoder_options,
    }
    buffer = io.BytesIO()
    try:
        _library().encode(
            "RGB",
            (width, height),
            image.tobytes(),
            buffer,
            quality=settings.quality,
            chroma=int(settings.subsampling.replace(":", "")),
            enc_params=parameters,
        )
    except (ValueError, RuntimeError) as error:
        options = " ".join(settings.advanced)
        field, value = ("advanced", options) if options else ("codec", "heic")
        raise codecframe.SettingsError(
            field, value, f"what can encode an image of {width}x{height} ({error})"
        ) from None
    return buffer.getvalue()


def _too_large(data: bytes) -> bool:
    height, width = isobmff.declared_size(data, isobmff.image_properties(data))
    return height * width > _MAX_STRIPPED


def _promised(settings: HeicSettings, shape: Shape) -> container.Head:
    """The head of every file with these settings and this size, at any quality."""
    return _blank_head(replace(settings, quality=50), shape)


@lru_cache(maxsize=256)
def _blank_head(settings: HeicSettings, shape: Shape) -> container.Head:
    return container.split(_encode(np.zeros((*shape, 3), np.uint8), settings))[0]
