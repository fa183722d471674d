"""The JPEG XL codec."""

from __future__ import annotations

import io

import numpy as np

import codecframe
from codecframe import Image, Shape, to_image
from codecframe_jpegxl import header
from codecframe_jpegxl import payload as framing
from codecframe_jpegxl.settings import JpegXlSettings


@codecframe.scalable
class JpegXlCodec(codecframe.Codec[JpegXlSettings]):
    """JPEG XL as a bare codestream.

    `strip` leaves out the image header and, of an image of at most 256x256 pixels, the frame
    header, the section's length and the tables that all such images share. A file with another
    image header (a lossless one) is its own payload.
    """

    name = "jpegxl"
    extension = ".jxl"
    summary = "JPEG XL: a finely graded knob, fast at low efforts"
    settings_type = JpegXlSettings

    def encode_image(self, image: Image, settings: JpegXlSettings) -> bytes:
        """Encode into a JPEG XL codestream. See `codecframe.Codec.encode`."""
        import imagecodecs

        image = codecframe.check_image(image)
        return bytes(
            imagecodecs.jpegxl_encode(
                image,
                effort=settings.effort,
                distance=settings.distance,
                lossless=settings.distance == 0.0,
                decodingspeed=settings.decoding_speed,
                usecontainer=False,
                numthreads=1,  # images are encoded in parallel
            )
        )

    def decode(self, data: bytes) -> Image:
        """Decode any JPEG XL file; of an animation, the first image. See `codecframe.Codec.decode`.

        Greyscale is repeated in three channels, alpha laid over white, depth brought to 8 bits.
        """
        import imagecodecs

        with codecframe.as_data_error(self.name, ValueError):
            size, bits = header.declared(data)
        codecframe.check_size(*size, self.name)
        with codecframe.as_data_error(self.name):
            samples = imagecodecs.jpegxl_decode(data, 0, numthreads=1)
        if bits is None and samples.dtype != np.uint8:
            raise codecframe.DataError(self.name, f"samples of an unknown depth: {samples.dtype}")
        return to_image(samples, self.name, bits=bits)

    def icc_profile(self, data: bytes) -> bytes | None:
        """Of the colours as libjxl decodes them. See `codecframe.Codec.icc_profile`."""
        with codecframe.as_data_error(self.name, ValueError):
            return _profile_of_jpeg(data) or header.icc_profile(data)

    def strip(self, data: bytes) -> bytes:
        """The bytes that differ from image to image. See the class."""
        try:
            usual = header.image_header(header.declared(data)[0])
        except ValueError:
            return data
        return framing.shorten(data[len(usual) :]) if data.startswith(usual) else data

    def restore(self, payload: bytes, settings: JpegXlSettings, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        if framing.is_file(payload):
            return payload
        codecframe.check_size(*shape, self.name)
        with codecframe.as_data_error(self.name, ValueError):
            return header.image_header(shape) + framing.lengthen(payload)


def _profile_of_jpeg(data: bytes) -> bytes | None:
    """The profile of the JPEG file that a JPEG XL file was made of, where it can be rebuilt.

    libjxl keeps that embedded, and imagecodecs does not give it.
    """
    if not header.holds_jpeg(data):
        return None
    import imagecodecs
    from PIL import Image as PilImage

    try:
        file = io.BytesIO(imagecodecs.jpegxl_decode_jpeg(data, numthreads=1))
        with PilImage.open(file, formats=("JPEG",)) as picture:
            profile = picture.info.get("icc_profile")
    except Exception as error:  # the libraries raise many kinds
        raise ValueError(f"holds a JPEG file that cannot be rebuilt: {error}") from None
    return profile if isinstance(profile, bytes) else None
