"""The codec of a trained model that has a picture layer."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

import codecframe
from codecframe import Image, Layers, Shape
from codecframe_vae.codec import HEADER, VaeCodec
from codecframe_vae.entropy.rangecoder import CorruptPayloadError
from codecframe_vae.settings import PictureSettings, VaeSettings

_MAGIC = b"cfv2"
_PICTURE = struct.Struct(">4sB4sI")
"""Magic, level of the picture, digest of its tables, bytes of the task layer."""


class PictureVaeCodec(VaeCodec):
    """As `VaeCodec`, and behind the latents a picture where one is wanted.

    Data of both layers is: a header of the picture, the data without a picture, the picture.
    """

    settings_type = PictureSettings

    def warm_up(self) -> None:
        """Load the tables of all levels of pictures, too."""
        self.model.picture.check()
        super().warm_up()

    def picture_encoder(
        self, image: Image, data: bytes, settings: VaeSettings
    ) -> Callable[[int], bytes]:
        """From a level to data of both layers; components are taken once."""
        layer = self.model.picture
        components = layer.analyse(image)
        return lambda level: self._joined(data, level, layer.encode(components, level))

    def _joined(self, data: bytes, level: int, picture: bytes) -> bytes:
        digest = self.model.picture.digest
        return _PICTURE.pack(_MAGIC, level, digest, len(data)) + data + picture

    def _apart(self, data: bytes) -> tuple[bytes, int, bytes | None]:
        """(data without a picture, the picture's level, the picture)."""
        if not data.startswith(_MAGIC):
            return data, 0, None
        if len(data) < _PICTURE.size:
            raise codecframe.DataError(self.name, "is truncated")
        _, level, digest, length = _PICTURE.unpack_from(data)
        task, picture = data[_PICTURE.size :][:length], data[_PICTURE.size + length :]
        if len(task) != length or length < HEADER.size:
            raise codecframe.DataError(self.name, "ends within the first of its two layers")
        if digest != self.model.picture.digest:
            raise codecframe.MismatchError(
                f"{self.name}: the picture was encoded with another model than "
                f"{self.model.manifest.name}"
            )
        if level >= self.model.manifest.pictures:
            raise codecframe.DataError(self.name, "has a corrupt header")
        return task, level, picture

    def strip_layers(self, data: bytes) -> Layers:
        """The entropy-coded latents and components alone."""
        task, _, picture = self._apart(data)
        return Layers(super().strip(task), picture)

    def restore_layers(self, layers: Layers, settings: VaeSettings, shape: Shape) -> bytes:
        """Put the headers back."""
        data = super().restore(layers.task, settings, shape)
        if layers.picture is None:
            return data
        assert isinstance(settings, PictureSettings)  # noqa: S101 - the codec's own
        level = settings.picture_level
        if level is None:
            raise codecframe.DataError(self.name, "has a picture layer of no level")
        return self._joined(data, level, layers.picture)

    strip = codecframe.Codec.strip  # of both layers: `VaeCodec` has those of one
    restore = codecframe.Codec.restore

    def decode_latents_many(self, datas: Iterable[bytes]) -> list[codecframe.Latents]:
        """Those of the task layers."""
        return super().decode_latents_many([self._apart(data)[0] for data in datas])

    def decode_many(self, datas: Iterable[bytes]) -> list[Image]:
        """Pictures of what there is: of both layers, or by the simple decoder."""
        everything = list(datas)
        latents = self.decode_latents_many(everything)
        parts = [self._apart(data) for data in everything]
        alone = [n for n, (_, _, picture) in enumerate(parts) if picture is None]
        images = dict(zip(alone, self.model.pixels([latents[n] for n in alone]), strict=True))
        for number, (_, level, picture) in enumerate(parts):
            if picture is not None:
                images[number] = self._picture(latents[number], level, picture)
        return [images[number] for number in range(len(everything))]

    def _picture(self, latents: codecframe.Latents, level: int, picture: bytes) -> Image:
        layer = self.model.picture
        with codecframe.as_data_error(self.name, CorruptPayloadError):
            sent = layer.decode(picture, level, latents.shape)
        return layer.image(latents, sent, level)
