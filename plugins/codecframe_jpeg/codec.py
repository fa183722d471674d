"""The JPEG codec."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import lru_cache

import numpy as np

import codecframe
from codecframe.image import Image, Shape
from codecframe_jpeg import markers
from codecframe_jpeg.settings import JpegSettings

_FAST_SUBSAMPLING = {"4:4:4": "444", "4:2:2": "422", "4:2:0": "420", "4:0:0": "444"}
_END = b"\xff\xd9"
_LARGEST_SIDE = 65535


class JpegCodec(codecframe.Codec[JpegSettings]):
    """JPEG (ITU-T T.81) through libjpeg-turbo.

    A body is the entropy-coded scan, where the Huffman tables are the standard ones; with tables
    made for the image it begins with their segments (FF C4). Since a scan stuffs its FF bytes,
    neither can be taken for the other or for a whole file (FF D8).
    """

    name = "jpeg"
    extension = ".jpg"
    summary = "JPEG: everywhere, fastest"
    settings_type = JpegSettings

    def encode(self, image: Image, settings: JpegSettings) -> bytes:
        """Encode into a JFIF file. See `codecframe.Codec.encode`."""
        if max(image.shape) > _LARGEST_SIDE:
            raise codecframe.DataError(self.name, f"no side may exceed {_LARGEST_SIDE} pixels")
        if settings.subsampling == "4:0:0":
            image = _luma(image)
        if settings.qtables is not None or settings.progressive or settings.smoothing:
            return _encode_with_pillow(image, settings)
        import imagecodecs

        data = imagecodecs.jpeg8_encode(
            image,
            settings.quality,
            subsampling=_FAST_SUBSAMPLING[settings.subsampling],
            optimize=settings.optimize,
        )
        return bytes(data)

    def decode(self, data: bytes) -> Image:
        """Decode any JPEG. See `codecframe.Codec.decode`."""
        try:
            frame = markers.frame_header(data)
        except ValueError as error:
            raise codecframe.DataError(self.name, error) from None
        codecframe.check_size(frame.height, frame.width, self.name)
        if data.find(_END, frame.end) < 0:  # libjpeg would make up what is missing
            raise codecframe.DataError(self.name, "is truncated")
        try:
            if frame.components in (1, 3) and frame.bits == 8:
                return _decode_fast(data)
            return _decode_with_pillow(data)
        except Exception as error:  # the libraries raise many kinds
            raise codecframe.DataError(self.name, error) from None

    def strip(self, data: bytes) -> bytes:
        """The scan; after the image's own Huffman tables, if it has any."""
        try:
            frame = markers.frame_header(data)
            scan = markers.scan_start(data, frame.end)
        except ValueError:
            return data
        if not data.endswith(_END):
            return data
        standard = frame.kind == markers.BASELINE and _standard_huffman(frame.components)
        if standard and data[frame.end : scan].startswith(standard):
            return data[scan : -len(_END)]
        return data[frame.end : -len(_END)]

    def restore(self, body: bytes, settings: JpegSettings, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        if body.startswith(b"\xff\xd8"):
            return body
        # quality shows in the tables; nothing else of the header depends on it
        frame, scan = _header(replace(settings, smoothing=0))
        start = frame if body[:2] in (b"\xff\xc4", b"\xff\xda") else scan
        try:
            return markers.with_size(start, *shape) + body + _END
        except ValueError as error:
            raise codecframe.DataError(self.name, error) from None


def _luma(image: Image) -> Image:
    """Luma of ITU-R BT.601, as JFIF has it."""
    from PIL import Image as PilImage

    return np.asarray(PilImage.fromarray(image).convert("L"))


def _encode_with_pillow(image: Image, settings: JpegSettings) -> bytes:
    """The slower path, for what only Pillow can set."""
    from PIL import Image as PilImage

    tables = settings.scaled_tables()
    buffer = io.BytesIO()
    PilImage.fromarray(image).save(
        buffer,
        "JPEG",
        **({"quality": settings.quality} if tables is None else {"qtables": tables}),
        **({} if settings.subsampling == "4:0:0" else {"subsampling": settings.subsampling}),
        optimize=settings.optimize,
        progressive=settings.progressive,
        smooth=settings.smoothing,
    )
    return buffer.getvalue()


def _decode_fast(data: bytes) -> Image:
    import imagecodecs

    pixels = imagecodecs.jpeg8_decode(data)
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def _decode_with_pillow(data: bytes) -> Image:
    from PIL import Image as PilImage

    with PilImage.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


@lru_cache(maxsize=512)
def _header(settings: JpegSettings) -> tuple[bytes, bytes]:
    """The headers of these settings up to the frame header, and up to the scan; size to be set."""
    data = JpegCodec().encode(np.zeros((16, 16, 3), np.uint8), settings)
    end = markers.frame_header(data).end
    return data[:end], data[: markers.scan_start(data, end)]


@lru_cache(maxsize=2)
def _standard_huffman(components: int) -> bytes:
    """The segments of the standard Huffman tables (T.81, Annex K.3), as libjpeg writes them."""
    settings = JpegSettings(subsampling="4:0:0" if components == 1 else "4:4:4")
    frame, scan = _header(settings)
    return scan[len(frame) : markers.scan_segment(scan, len(frame))]
