"""The PNG codec."""

from __future__ import annotations

import struct

import codecframe
from codecframe import Image, Shape, to_image
from codecframe_png import checked, container
from codecframe_png.settings import FILTERS, STRATEGIES, PngSettings


@codecframe.scalable
class PngCodec(codecframe.Codec[PngSettings]):
    """PNG, by libpng and libspng: lossless, the upper end of the rate scale.

    `strip` leaves the zlib stream. A file that could not be rebuilt from that is its own payload:
    it starts with the signature, which no zlib stream does.
    """

    name = "png"
    extension = ".png"
    summary = "PNG: lossless, read by everything"
    settings_type = PngSettings

    def encode_image(self, image: Image, settings: PngSettings) -> bytes:
        """Encode into a PNG file. See `codecframe.Codec.encode`."""
        import imagecodecs

        return bytes(
            imagecodecs.png_encode(
                codecframe.check_image(image, self.name),
                settings.effort,
                strategy=STRATEGIES[settings.strategy],
                filter=FILTERS[settings.filter],
            )
        )

    def decode(self, data: bytes) -> Image:
        """Decode any PNG file. See `codecframe.Codec.decode`.

        Greyscale is repeated in three channels, alpha laid over white, depth brought to 8 bits.
        """
        import imagecodecs

        with codecframe.as_data_error(self.name, ValueError):
            shape = container.declared_shape(data)
        codecframe.check_size(*shape, self.name)
        with codecframe.as_data_error(self.name):
            if checked.is_plain(data):
                samples = imagecodecs.spng_decode(data)
            else:
                samples = imagecodecs.png_decode(checked.rebuilt(checked.read(data)))
        return to_image(samples, self.name)

    def strip(self, data: bytes) -> bytes:
        """The zlib stream. See the class."""
        try:
            return container.split(data)[1]
        except ValueError:
            return data

    def restore(self, payload: bytes, settings: PngSettings, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        if payload.startswith(container.SIGNATURE):
            return payload
        with codecframe.as_data_error(self.name, struct.error):  # of sides that no header can hold
            return container.join(shape, payload)
