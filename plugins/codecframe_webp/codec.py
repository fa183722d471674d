"""The WebP codec."""

from __future__ import annotations

import io

import codecframe
from codecframe.image import Image, Shape
from codecframe.registry import require
from codecframe.samples import to_image
from codecframe_webp import container
from codecframe_webp.settings import WebpSettings

_FILTERS = {"simple": 0, "strong": 1}


class WebpCodec(codecframe.Codec[WebpSettings]):
    """WebP through libwebp.

    A body is the VP8 or VP8L frame without container, start code and image size. A file that holds
    more than that keeps all of it: its body begins with `RIFF`, which no bare frame's does.
    """

    name = "webp"
    extension = ".webp"
    summary = "WebP: VP8 intra frames, in every browser"
    settings_type = WebpSettings

    def encode(self, image: Image, settings: WebpSettings) -> bytes:
        """Encode into a WebP file. See `codecframe.Codec.encode`."""
        try:
            if settings.advanced:
                return _encode_with_webp(image, settings)
            if settings.sharp_yuv:
                return _encode_with_pillow(image, settings)
            return _encode_fast(image, settings)
        except codecframe.CodecframeError:
            raise
        except Exception as error:  # the libraries raise many kinds, for sizes they cannot hold
            raise codecframe.DataError(self.name, f"cannot encode: {error}") from None

    def decode(self, data: bytes) -> Image:
        """Decode any WebP; of an animation, the first image. See `codecframe.Codec.decode`."""
        import imagecodecs

        try:
            size = container.declared_size(data)
        except ValueError as error:
            raise codecframe.DataError(self.name, error) from None
        codecframe.check_size(*size, self.name)
        if len(data) < 8 + int.from_bytes(data[4:8], "little"):
            raise codecframe.DataError(self.name, "is truncated")
        try:
            return to_image(imagecodecs.webp_decode(data), self.name)
        except Exception as error:  # the library raises several kinds
            raise codecframe.DataError(self.name, error) from None

    def strip(self, data: bytes) -> bytes:
        """The bare frame. See the class."""
        body = container.unwrap(data)
        return data if body is None else body

    def restore(self, body: bytes, settings: WebpSettings, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        if body.startswith(b"RIFF"):
            return body
        try:
            return container.wrap(body, *shape, lossless=settings.lossless)
        except ValueError as error:
            raise codecframe.DataError(self.name, error) from None


def _encode_fast(image: Image, settings: WebpSettings) -> bytes:
    import imagecodecs

    # imagecodecs writes lossless files unless told not to
    data = imagecodecs.webp_encode(
        image, settings.quality, lossless=settings.lossless, method=settings.method
    )
    return bytes(data)


def _encode_with_pillow(image: Image, settings: WebpSettings) -> bytes:
    from PIL import Image as PilImage

    buffer = io.BytesIO()
    PilImage.fromarray(image).save(
        buffer, "WEBP", quality=settings.quality, method=settings.method, use_sharp_yuv=True
    )
    return buffer.getvalue()


def _encode_with_webp(image: Image, settings: WebpSettings) -> bytes:
    """Through the `webp` package, which hands over libwebp's whole configuration."""
    webp = require("webp", "codecframe[webp]")
    config = webp.WebPConfig.new(quality=settings.quality)
    config.method = settings.method
    options = config.ptr
    options.filter_strength = settings.filter_strength
    options.filter_sharpness = settings.filter_sharpness
    options.filter_type = _FILTERS[settings.filter_type]
    options.autofilter = int(settings.autofilter)
    options.segments = settings.segments
    options.sns_strength = settings.sns_strength
    setattr(options, "pass", settings.passes)
    return bytes(webp.WebPPicture.from_numpy(image).encode(config).buffer())
