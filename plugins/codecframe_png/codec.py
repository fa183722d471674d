"""The PNG codec."""

from __future__ import annotations

import zlib

import codecframe
from codecframe.image import Image, Shape
from codecframe.samples import to_image
from codecframe_png.settings import FILTERS, STRATEGIES, PngSettings

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB\x60\x82"


class PngCodec(codecframe.Codec[PngSettings]):
    """PNG (ISO/IEC 15948) through libpng: lossless, the upper end of the rate scale.

    A body is what lies between header chunk and end chunk.
    """

    name = "png"
    extension = ".png"
    summary = "PNG: lossless"
    settings_type = PngSettings

    def encode(self, image: Image, settings: PngSettings) -> bytes:
        """Encode into a PNG file. See `codecframe.Codec.encode`."""
        import imagecodecs

        data = imagecodecs.png_encode(
            image,
            settings.effort,
            strategy=STRATEGIES[settings.strategy],
            filter=FILTERS[settings.filter],
        )
        return bytes(data)

    def decode(self, data: bytes) -> Image:
        """Decode any PNG. See `codecframe.Codec.decode`."""
        import imagecodecs

        if data[:8] != _SIGNATURE or data[12:16] != b"IHDR" or len(data) < 33:
            raise codecframe.DataError(self.name, "is no PNG")
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
        codecframe.check_size(height, width, self.name)
        try:
            return to_image(imagecodecs.png_decode(data), self.name)
        except Exception as error:  # the library raises several kinds
            raise codecframe.DataError(self.name, error) from None

    def strip(self, data: bytes) -> bytes:
        """The chunks between header and end."""
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
        start = _start(height, width)
        if data.startswith(start) and data.endswith(_END):
            return data[len(start) : -len(_END)]
        return data

    def restore(self, body: bytes, settings: PngSettings, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        if body.startswith(_SIGNATURE):
            return body
        return _start(*shape) + body + _END


def _start(height: int, width: int) -> bytes:
    """Signature and header chunk of an 8-bit RGB image."""
    chunk = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    checksum = zlib.crc32(chunk).to_bytes(4, "big")
    return _SIGNATURE + (13).to_bytes(4, "big") + chunk + checksum
