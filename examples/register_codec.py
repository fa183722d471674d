"""A codec in one file, used in this process without being installed.

It keeps every `step`-th pixel and deflates them: crude, and a codec all the same, with a knob that
budgets can turn. The contract kit `codecframe.testing.CodecContract` holds it to what it promises.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

import codecframe
from codecframe import Budget, Image, Shape, controller, read_image
from codecframe.core.registry import default
from codecframe.evaluation.demo import installed_photos

_HEADER = struct.Struct(">4sBII")


@dataclass(frozen=True, kw_only=True)
class ThinSettings(codecframe.Settings):
    """How to thin an image out."""

    step: int = codecframe.knob(
        4, low=1, high=32, ladder=range(32, 0, -1), help="keep one pixel in so many, both ways"
    )


class ThinCodec(codecframe.Codec[ThinSettings]):
    """Every `step`-th pixel of every `step`-th row, deflated."""

    name = "thin"
    extension = ".thin"
    summary = "thinned-out pixels, deflated"
    settings_type = ThinSettings

    def encode_image(self, image: Image, settings: ThinSettings) -> bytes:
        """See `codecframe.Codec.encode`."""
        step, (height, width, _) = settings.step, codecframe.check_image(image).shape
        kept = np.ascontiguousarray(image[::step, ::step])
        return _HEADER.pack(b"THIN", step, height, width) + zlib.compress(kept.tobytes(), 9)

    def decode(self, data: bytes) -> Image:
        """See `codecframe.Codec.decode`."""
        with codecframe.as_data_error(self.name, struct.error):
            magic, step, height, width = _HEADER.unpack_from(data)
        if magic != b"THIN" or step == 0:
            raise codecframe.DataError(self.name, "is not such a file")
        codecframe.check_size(height, width, self.name)
        shape = (-(-height // step), -(-width // step), 3)
        inflate = zlib.decompressobj()
        with codecframe.as_data_error(self.name, zlib.error, ValueError):
            # one byte more than there should be, so that a bomb is noticed and not unpacked
            pixels = inflate.decompress(data[_HEADER.size :], int(np.prod(shape)) + 1)
            kept = np.frombuffer(pixels, np.uint8).reshape(shape)
        if not inflate.eof:
            raise codecframe.DataError(self.name, "is truncated")
        rows = kept.repeat(step, axis=0)[:height]
        return np.ascontiguousarray(rows.repeat(step, axis=1)[:, :width])

    def strip(self, data: bytes) -> bytes:
        """What settings and size do not say. See `codecframe.Codec.strip`."""
        return data[_HEADER.size :]

    def restore(self, payload: bytes, settings: ThinSettings, shape: Shape) -> bytes:
        """See `codecframe.Codec.restore`."""
        codecframe.check_size(*shape, self.name)
        return _HEADER.pack(b"THIN", settings.step, *shape) + payload


class Plugin:
    """What a plugin module would hold."""

    @codecframe.hookimpl
    def codecframe_codecs(self) -> list[codecframe.Codec[ThinSettings]]:
        """Thinned-out pixels."""
        return [ThinCodec()]


def main() -> None:
    """Register the codec, then use it by name."""
    default().register(Plugin(), "thin")
    codec = codecframe.get_codec("thin")
    photo = read_image(installed_photos()[0])
    found = controller(codec, codec.settings_type(), Budget.parse("0.5bpp")).encode(photo)
    height, width = photo.shape[:2]
    print(f"{width}x{height}: {found.size} bytes, {found.settings}, {found.encodes} encodes")


if __name__ == "__main__":
    main()
