"""The codec of a trained model."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

import codecframe
from codecframe import Image, Shape
from codecframe_vae.entropy.context import COMPILED
from codecframe_vae.entropy.rangecoder import CorruptPayloadError
from codecframe_vae.entropy.walk import I8
from codecframe_vae.runtime.batches import map_alike
from codecframe_vae.runtime.model import F32, Model
from codecframe_vae.runtime.modelfile import NEEDS
from codecframe_vae.settings import LEVELS, VaeSettings

_MAGIC = b"cfv1"
HEADER = struct.Struct(">4s6sBHH")
"""Magic, start of the latent space's digest, level, height, width."""
_MAX_LATENTS = 1 << 24
"""Latents of one image, at most: they are coded one after the other."""
_LANES = 256
"""Payloads that are coded side by side."""


class VaeCodec(codecframe.Codec[VaeSettings]):
    """Encodes with a trained network; its latents go to the head, or to a simple decoder.

    Args:
        name: what users type.
        model: the model file.
        summary: one line for listings.
        requires: packages that it needs besides, and what installs them.

    Attributes:
        model: the model file.
    """

    name = "vae"
    extension = ".cfv"
    settings_type = VaeSettings

    def __init__(
        self,
        model: Model,
        name: str = "vae",
        summary: str = "",
        requires: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.requires = {**NEEDS, **(requires or {})}
        self.summary = summary or "learned with its classifier; latents go straight to it"
        self.model = model

    @property
    def emits(self) -> tuple[codecframe.Representation, ...]:  # type: ignore[override]
        """The model's latents, and pixels."""
        return (self.model.space, codecframe.PIXELS)

    def save(self, path: Path | str) -> None:
        """Write the model as a file of its own, with all its external weights: it runs where the
        classifier that has them is not installed, and latents are the same.

        Raises:
            MismatchError: if the classifier is not what it was.
        """
        self.model.save(Path(path))

    # -- encoding -------------------------------------------------------------------------

    def encode_image(self, image: Image, settings: VaeSettings) -> bytes:
        """Header and payload.

        Raises:
            SettingsError: if the image is too large for this codec.
        """
        return self.encode_many([image], settings)[0]

    def encode_images(self, images: Iterable[Image], settings: VaeSettings) -> list[bytes]:
        """One network pass over all images of a size, then all payloads side by side."""
        everything = list(images)
        for image in everything:
            self._check(image)
        analysed = self._analysed(everything, settings)
        latents = [self.model.quantise(real, settings.level) for real in analysed]
        payloads = self._coded(latents, settings.level)
        return [
            self._header(settings.level, image.shape[:2]) + payload
            for image, payload in zip(everything, payloads, strict=True)
        ]

    def fit(
        self, image: Image, settings: VaeSettings, max_bytes: int, *, payload_only: bool
    ) -> codecframe.Fit[VaeSettings]:
        """The highest level that fits, from one network pass.

        Where even the lowest does not, latents are dropped from the end of the coding order until
        the rest fits; without any, the payload is empty.

        Raises:
            BudgetError: if the header alone is larger.
        """
        overhead = 0 if payload_only else HEADER.size
        if max_bytes < overhead:
            raise codecframe.BudgetError(
                f"{self.name}: no encoding is smaller than {overhead} bytes, over the "
                f"{max_bytes} allowed",
                asked=max_bytes,
                smallest=overhead,
            )
        self._check(image)
        real = self._analysed([image], settings)[0]
        level, payload = self._highest(real, image.shape[0] * image.shape[1], max_bytes - overhead)
        if payload is None:
            payload = self._dropped(real, max_bytes - overhead)
        data = self._header(level, image.shape[:2]) + payload
        return codecframe.Fit(data, settings.at_level(level), len(payload) + overhead, 1)

    def _analysed(self, images: Sequence[Image], settings: VaeSettings) -> list[F32]:
        """Real latents, by the encoder that the settings name."""
        return self.model.analyse(images, int8=settings.int8, small=settings.small)

    def _highest(self, real: F32, pixels: int, limit: int) -> tuple[int, bytes | None]:
        """(highest level whose payload fits, that payload), or (0, None)."""
        rates = np.array(self.model.manifest.rates)
        low, high, found = -1, LEVELS, None
        wanted = 8 * limit / max(pixels, 1)
        while high - low > 1:
            # the highest level that is expected to fit; next to a bound, that level tells most
            guess = int(np.searchsorted(rates, wanted, "right")) - 1
            level = min(max(guess, low + 1), high - 1)
            latents = self.model.quantise(real, level)
            payload = self.model.context(level).encode(latents[None])[0]
            if len(payload) <= limit:
                low, found = level, payload
            else:
                high = level
            wanted = rates[level] * limit / max(len(payload), 1)
        return max(low, 0), found

    def _dropped(self, real: F32, limit: int) -> bytes:
        """The lowest level's payload with as many of its first latents as fit."""
        latents = self.model.quantise(real, 0)
        context = self.model.context(0)
        low, high, found = 0, latents.size, b""
        while high - low > 1:
            middle = (low + high) // 2
            payload = context.encode(context.keep_first(latents[None], middle))[0]
            if len(payload) <= limit:
                low, found = middle, payload
            else:
                high = middle
        return found

    def _coded(self, latents: Sequence[I8], level: int) -> list[bytes]:
        context = self.model.context(level)
        return map_alike(
            lambda some: context.encode(np.stack([latents[n] for n in some])),
            [one.shape for one in latents],
            lambda _: _LANES,
        )

    def _check(self, image: Image) -> None:
        height, width = image.shape[:2]
        if max(height, width) > 0xFFFF or self._latents(height, width) > _MAX_LATENTS:
            raise codecframe.LimitError(
                f"{self.name}: a {width}x{height} image is too large for this codec"
            )

    def _latents(self, height: int, width: int) -> int:
        rows, columns = self._grid((height, width))
        return rows * columns * self.model.manifest.channels

    def _grid(self, shape: Shape) -> Shape:
        """Rows and columns of an image's latents."""
        stride = self.model.manifest.stride
        return -(-shape[0] // stride), -(-shape[1] // stride)

    def warm_up(self) -> None:
        """Load the networks and the tables of all levels, and wait until the coder is compiled."""
        COMPILED.wait()
        for level in range(LEVELS):
            self.model.context(level)
        super().warm_up()

    # -- header and payload ------------------------------------------------------------------

    def _header(self, level: int, shape: Sequence[int]) -> bytes:
        space = bytes.fromhex(self.model.manifest.space[:12])
        return HEADER.pack(_MAGIC, space, level, shape[0], shape[1])

    def strip(self, data: bytes) -> bytes:
        """The entropy-coded latents alone."""
        return data[HEADER.size :]

    def restore(self, payload: bytes, settings: VaeSettings, shape: Shape) -> bytes:
        """Put the header back."""
        if not all(1 <= side <= 0xFFFF for side in shape):
            raise codecframe.DataError(self.name, f"no image is {shape[1]}x{shape[0]}")
        return self._header(settings.level, shape) + payload

    # -- decoding -------------------------------------------------------------------------

    def decode(self, data: bytes) -> Image:
        """The image that the simple decoder makes of the latents."""
        return self.decode_many([data])[0]

    def decode_many(self, datas: Iterable[bytes]) -> list[Image]:
        """All latents side by side, then the simple decoder."""
        return self.model.pixels(self.decode_latents_many(datas))

    def decode_latents(self, data: bytes) -> codecframe.Latents:
        """The latents.

        Raises:
            DataError: if the data is not of this format.
            MismatchError: if it was made with another model.
        """
        return self.decode_latents_many([data])[0]

    def decode_latents_many(self, datas: Iterable[bytes]) -> list[codecframe.Latents]:
        """All latents of a level and a size side by side."""
        everything = list(datas)
        headers = [self._read_header(data) for data in everything]

        def decode(some: list[int]) -> I8:
            level, shape = headers[some[0]]
            with codecframe.as_data_error(self.name, CorruptPayloadError):
                payloads = [everything[n][HEADER.size :] for n in some]
                return self.model.context(level).decode(payloads, *self._grid(shape))

        return [
            codecframe.Latents(self.model.space, values.astype(np.int32), level, shape)
            for values, (level, shape) in zip(
                map_alike(decode, headers, lambda _: _LANES), headers, strict=True
            )
        ]

    def _read_header(self, data: bytes) -> tuple[int, Shape]:
        """(level, (height, width))."""
        if len(data) < HEADER.size or not data.startswith(_MAGIC):
            raise codecframe.DataError(self.name, "is not an encoding of a learned codec")
        _, space, level, height, width = HEADER.unpack_from(data)
        if space.hex() != self.model.manifest.space[:12]:
            raise codecframe.MismatchError(
                f"{self.name}: this was encoded with another model than {self.model.manifest.name}"
            )
        if level >= LEVELS or not height or not width:
            raise codecframe.DataError(self.name, "has a corrupt header")
        codecframe.check_size(height, width, self.name)
        if self._latents(height, width) > _MAX_LATENTS:
            raise codecframe.LimitError(f"{self.name}: {width}x{height} is too large")
        return level, (height, width)
