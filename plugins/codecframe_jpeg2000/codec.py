"""The codecs: JPEG 2000 (OpenJPEG) and high-throughput JPEG 2000 (OpenJPH)."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from typing import Any, TypeVar, cast

import numpy as np

import codecframe
from codecframe import Image, Shape, to_image
from codecframe.core.bounds import check_tiles
from codecframe_jpeg2000 import codestream
from codecframe_jpeg2000.settings import HighThroughputSettings, Jpeg2000Settings

S = TypeVar("S", bound=codecframe.Settings)


class _CodestreamCodec(codecframe.Codec[S]):
    """The base of both codecs: everything but the encoder.

    `data` is a bare codestream without the library's comment. `strip` leaves the packets. A file
    whose main header is not the one that settings and size promise keeps its comment, and is its
    own payload.
    """

    extension = ".j2k"

    @abstractmethod
    def _encode(self, image: Image, settings: S) -> bytes:
        """The codestream as the library writes it."""

    @abstractmethod
    def _main_header(self, settings: S, shape: Shape) -> bytes:
        """The main header that settings and size promise."""

    def encode_image(self, image: Image, settings: S) -> bytes:
        """Encode into a codestream. See `codecframe.Codec.encode`."""
        image = codecframe.check_image(image)
        data = self._encode(image, settings)
        try:
            header, packets = codestream.split(data)
        except ValueError:
            return data
        promised = header == self._main_header(settings, image.shape[:2])
        return codestream.join(header, packets) if promised else data

    def decode(self, data: bytes) -> Image:
        """Decode any JPEG 2000 file with unsigned samples. See `codecframe.Codec.decode`.

        Greyscale is repeated in three channels, alpha laid over white, depth brought to 8 bits.
        """
        import imagecodecs

        with codecframe.as_data_error(self.name, ValueError):
            declared = codestream.declared(data)
        check_tiles(data, self.name)
        if declared.components > 4 or declared.bits > 16 or declared.signed:
            raise codecframe.DataError(self.name, f"samples that are not a picture: {declared}")
        with codecframe.as_data_error(self.name):
            # OpenJPEG for both: imagecodecs' htj2k_decode lets overshoots wrap around
            samples = imagecodecs.jpeg2k_decode(data, planar=False, numthreads=1)
        return to_image(samples, self.name, bits=declared.bits)

    def strip(self, data: bytes) -> bytes:
        """The packets. See the class."""
        try:
            header, packets = codestream.split(data)
        except ValueError:
            return data
        ours = codestream.join(header, packets) == data and not codestream.is_file(packets)
        return packets if ours else data

    def restore(self, payload: bytes, settings: S, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        if codestream.is_file(payload):
            return payload
        codecframe.check_size(*shape, self.name)
        return codestream.join(self._main_header(settings, shape), payload)


@codecframe.scalable
class Jpeg2000Codec(_CodestreamCodec[Jpeg2000Settings]):
    """JPEG 2000, encoded by OpenJPEG."""

    name = "jpeg2000"
    summary = "JPEG 2000: wavelets, meets a fidelity in dB"
    settings_type = Jpeg2000Settings

    def _encode(self, image: Image, settings: Jpeg2000Settings) -> bytes:
        import imagecodecs

        return bytes(
            imagecodecs.jpeg2k_encode(
                image,
                cast("Any", settings.psnr),  # the stub knows integers only
                codecformat=imagecodecs.JPEG2K.CODEC.J2K,
                planar=False,
                resolutions=settings.decompositions + 1,
                reversible=settings.reversible,
                mct=settings.colour_transform,
                numthreads=1,  # images are encoded in parallel
            )
        )

    def _main_header(self, settings: Jpeg2000Settings, shape: Shape) -> bytes:
        # OpenJPEG, as imagecodecs drives it, lets no level get smaller than 8 pixels
        levels = _levels(settings.decompositions, shape, smallest=8)
        header = _jpeg2000_header(levels, settings.reversible, settings.colour_transform)
        return codestream.with_size(header, shape)


@codecframe.scalable
class HighThroughputCodec(_CodestreamCodec[HighThroughputSettings]):
    """High-throughput JPEG 2000 (ISO/IEC 15444-15), encoded by OpenJPH."""

    name = "htj2k"
    summary = "high-throughput JPEG 2000: ten times faster, some 10 % bigger"
    settings_type = HighThroughputSettings

    def _encode(self, image: Image, settings: HighThroughputSettings) -> bytes:
        levels = _levels(settings.decompositions, image.shape[:2], smallest=4)
        return _encode_htj2k(image, settings.step, levels, settings.colour_transform)

    def _main_header(self, settings: HighThroughputSettings, shape: Shape) -> bytes:
        levels = _levels(settings.decompositions, shape, smallest=4)
        header = _htj2k_header(settings.step, levels, settings.colour_transform)
        return codestream.with_size(header, shape)


def _levels(most: int, shape: Shape, *, smallest: int) -> int:
    """Wavelet levels for an image whose coarsest one shall keep `smallest` pixels a side."""
    return min(most, max(0, (min(shape) // smallest).bit_length() - 1))


def _encode_htj2k(image: Image, step: float, levels: int, colour_transform: bool) -> bytes:
    import imagecodecs

    return bytes(
        imagecodecs.htj2k_encode(
            image,
            step,
            rgb=colour_transform,
            planar=False,
            resolutions=max(1, levels),  # 0 would mean the library's default
            reversible=False,
        )
    )


# The headers are taken from encodings of blank images: no field but the size depends on the image.


@lru_cache(maxsize=64)
def _jpeg2000_header(levels: int, reversible: bool, colour_transform: bool) -> bytes:
    settings = Jpeg2000Settings(
        decompositions=levels, reversible=reversible, colour_transform=colour_transform
    )
    return codestream.split(Jpeg2000Codec()._encode(_blank(8 << levels), settings))[0]


@lru_cache(maxsize=1024)
def _htj2k_header(step: float, levels: int, colour_transform: bool) -> bytes:
    # some releases give an image only as many levels as its sides can be halved
    blank = _blank(4 << levels)
    return codestream.split(_encode_htj2k(blank, step, levels, colour_transform))[0]


def _blank(side: int) -> Image:
    return np.zeros((side, side, 3), np.uint8)
