"""The codecs: lossy and lossless WebP."""

from __future__ import annotations

import struct
from abc import abstractmethod
from pathlib import Path
from typing import TypeVar

import codecframe
from codecframe import Image, Shape, to_image
from codecframe_webp import container, encoder
from codecframe_webp.settings import WebpLosslessSettings, WebpSettings

_MAX_SIDE = 16382  # one less than the format's: imagecodecs refuses the last

S = TypeVar("S", WebpSettings, WebpLosslessSettings)


class _WebpCodec(codecframe.Codec[S]):
    """The base of both codecs.

    `strip` leaves the bitstream without its header. A file that could not be rebuilt from that is
    its own payload.
    """

    extension = ".webp"

    @abstractmethod
    def _body(self, data: bytes) -> bytes:
        """The bitstream in a file, without its header; `ValueError` if the file is not ours."""

    @abstractmethod
    def _file(self, payload: bytes, settings: S, shape: Shape) -> bytes:
        """Inverse of `_body`; `ValueError` if no file has this payload."""

    def encode_image(self, image: Image, settings: S) -> bytes:
        """Encode into a WebP file. See `codecframe.Codec.encode`.

        Raises:
            DataError: if a side is longer than 16,382 pixels, or the image too large to encode
                lossily without `partition_limit`.
            DependencyError: if the settings need the package `webp`.
        """
        import imagecodecs

        image = codecframe.check_image(image, self.name)
        shape = image.shape[:2]
        if max(shape) > _MAX_SIDE:
            raise codecframe.DataError(self.name, f"a side is longer than {_MAX_SIDE} pixels")
        config = settings.config
        try:
            if settings.fast:
                quality, method, lossless = (
                    config[name] for name in ("quality", "method", "lossless")
                )
                data = bytes(
                    imagecodecs.webp_encode(image, quality, lossless=lossless, method=method)
                )
            else:
                data = encoder.encode(image, config)
        except RuntimeError as error:
            raise codecframe.DataError(
                self.name, f"cannot encode {shape[1]}x{shape[0]} pixels: {error}"
            ) from error
        promised = self.restore(self.strip(data), settings, shape) == data
        return data if promised else container.with_note(data)

    def decode(self, data: bytes) -> Image:
        """Decode any WebP file; of an animation, the first image. See `codecframe.Codec.decode`.

        Alpha is laid over white.
        """
        import imagecodecs

        with codecframe.as_data_error(self.name, ValueError):
            shape = container.declared_shape(data)
        codecframe.check_size(*shape, self.name)
        with codecframe.as_data_error(self.name):
            samples = imagecodecs.webp_decode(data, 0)
        return to_image(samples, self.name)

    def strip(self, data: bytes) -> bytes:
        """The bitstream without its header. See the class."""
        try:
            payload = self._body(data)
        except (ValueError, IndexError):
            return data
        return data if container.is_file(payload) else payload

    def restore(self, payload: bytes, settings: S, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        if container.is_file(payload):
            return payload
        # also of sides that no header can hold
        with codecframe.as_data_error(self.name, ValueError, struct.error):
            return self._file(payload, settings, shape)


@codecframe.scalable
class WebpCodec(_WebpCodec[WebpSettings]):
    """Lossy WebP: VP8 key frames, by libwebp."""

    name = "webp"
    summary = "WebP: smaller than JPEG, slower to encode"
    settings_type = WebpSettings
    presets = Path(__file__).parent / "presets"

    def _body(self, data: bytes) -> bytes:
        return container.without_lossy_header(container.unwrap(container.LOSSY, data))

    def _file(self, payload: bytes, settings: WebpSettings, shape: Shape) -> bytes:
        payload = container.with_lossy_header(payload, settings.profile, shape)
        return container.wrap(container.LOSSY, payload)


@codecframe.scalable
class WebpLosslessCodec(_WebpCodec[WebpLosslessSettings]):
    """Lossless and near-lossless WebP, by libwebp."""

    name = "webp-lossless"
    summary = "lossless WebP: smaller than PNG; near-lossless if asked"
    settings_type = WebpLosslessSettings

    def _body(self, data: bytes) -> bytes:
        return container.without_lossless_header(container.unwrap(container.LOSSLESS, data))

    def _file(self, payload: bytes, settings: WebpLosslessSettings, shape: Shape) -> bytes:
        payload = container.with_lossless_header(payload, shape)
        return container.wrap(container.LOSSLESS, payload)
