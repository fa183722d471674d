"""The JPEG-LS codec."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

import codecframe
from codecframe import Image, Shape
from codecframe_jpegls.settings import JpegLsSettings

_LARGEST_SIDE = 65535
_START, _END = b"\xff\xd8", b"\xff\xd9"
_FRAME, _SCAN = 0xFFF7, 0xFFDA


class JpegLsCodec(codecframe.Codec[JpegLsSettings]):
    """JPEG-LS (ITU-T T.87) through CharLS.

    A payload is the scan, between headers that follow from size and `near`. Within a scan no byte
    of 80 or more (hexadecimal) follows an FF, so it cannot be taken for a whole file (FF D8).
    """

    name = "jpegls"
    extension = ".jls"
    summary = "JPEG-LS: lossless, or with a bound on every sample's error"
    settings_type = JpegLsSettings

    def encode_image(self, image: Image, settings: JpegLsSettings) -> bytes:
        """Encode into a JPEG-LS file. See `codecframe.Codec.encode`."""
        import imagecodecs

        image = codecframe.check_image(image)
        if max(image.shape) > _LARGEST_SIDE:
            raise codecframe.DataError(self.name, f"no side may exceed {_LARGEST_SIDE} pixels")
        return bytes(imagecodecs.jpegls_encode(image, level=settings.near))

    def decode(self, data: bytes) -> Image:
        """Decode an 8-bit grey or RGB JPEG-LS file. See `codecframe.Codec.decode`."""
        import imagecodecs

        with codecframe.as_data_error(self.name, ValueError):
            frame = _frame(data)
        codecframe.check_size(frame.height, frame.width, self.name)
        if not data.endswith(_END):  # CharLS takes seconds to find that out
            raise codecframe.DataError(self.name, "is truncated")
        with codecframe.as_data_error(self.name):
            pixels = imagecodecs.jpegls_decode(data)
        return pixels if frame.components == 3 else np.repeat(pixels[:, :, None], 3, axis=2)

    def strip(self, data: bytes) -> bytes:
        """The scan. See the class."""
        try:
            frame = _frame(data)
        except ValueError:
            return data
        header = _header((frame.height, frame.width), frame.near)
        ours = data.startswith(header) and data.endswith(_END)
        return data[len(header) : -len(_END)] if ours else data

    def restore(self, payload: bytes, settings: JpegLsSettings, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        if payload.startswith(_START):
            return payload
        if not all(0 < side <= _LARGEST_SIDE for side in shape):
            raise codecframe.DataError(self.name, f"has no image of {shape[1]}x{shape[0]} pixels")
        return _header(shape, settings.near) + payload + _END


class _Frame(NamedTuple):
    """What the headers of a JPEG-LS file say."""

    height: int
    width: int
    components: int
    near: int


def _header(shape: Shape, near: int) -> bytes:
    """All that CharLS writes before the scan."""
    height, width = shape
    return b"".join(
        (
            _START,
            bytes.fromhex("ffe8 0020"),  # SPIFF header: RGB, 8 bits, 300 dots an inch
            b"SPIFF\0" + bytes.fromhex("0200 00 03"),
            struct.pack(">II", height, width),
            bytes.fromhex("0a 08 06 01 0000012c 0000012c"),
            bytes.fromhex("ffe8 0008 00000001 ffd8"),  # end of the SPIFF directory
            struct.pack(">HHBHHB", _FRAME, 17, 8, height, width, 3),
            bytes.fromhex("01 11 00 02 11 00 03 11 00"),
            struct.pack(">HHB", _SCAN, 12, 3),
            bytes.fromhex("01 00 02 00 03 00"),
            bytes([near, 2, 0]),  # 2: samples of a pixel side by side
        )
    )


def _frame(data: bytes) -> _Frame:
    """Read the headers up to the scan.

    Raises:
        ValueError: if it is not a JPEG-LS file, or one that is neither grey nor RGB of 8 bits.
    """
    if not data.startswith(_START):
        raise ValueError("is not a JPEG-LS file")
    position, frame = len(_START), None
    try:
        while True:
            marker, length = struct.unpack_from(">HH", data, position)
            if marker < 0xFF00 or length < 2:
                raise ValueError("has a damaged header")
            if marker == _FRAME:
                frame = struct.unpack_from(">BHHB", data, position + 4)
            if marker == _SCAN:
                break
            position += 2 + length
        near = data[position + 2 + length - 3]
    except (struct.error, IndexError):
        raise ValueError("is truncated") from None
    if frame is None:
        raise ValueError("is not a JPEG-LS file")
    bits, height, width, components = frame
    if bits != 8 or components not in (1, 3):
        raise ValueError(f"has {components} components of {bits} bits; only 1 or 3 of 8 are read")
    return _Frame(height, width, components, near)
