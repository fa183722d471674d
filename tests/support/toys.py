"""A tiny codec, head and image set: real enough to search, measure and select with."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

import codecframe
from codecframe.core import registry
from codecframe.core.classification import FloatArray
from codecframe.core.head import Batch

HEADER = b"TOY1"


@dataclass(frozen=True, kw_only=True)
class ToySettings(codecframe.Settings):
    """Quantisation by `256 - strength`; more strength, more bytes."""

    strength: int = codecframe.knob(128, low=1, high=255, help="fidelity")
    effort: int = codecframe.option(6, low=0, high=9, help="zlib level")


class ToyCodec(codecframe.Codec[ToySettings]):
    """zlib over quantised pixels, with a header that strip removes."""

    name = "toy"
    extension = ".toy"
    summary = "zlib over quantised pixels"
    settings_type = ToySettings

    def encode_image(self, image: codecframe.Image, settings: ToySettings) -> bytes:
        step = 256 - settings.strength
        payload = zlib.compress((image // step).tobytes(), settings.effort)
        return self._header(settings, image.shape[:2]) + payload

    def decode(self, data: bytes) -> codecframe.Image:
        if len(data) < 9 or data[:4] != HEADER:
            raise codecframe.DataError(self.name, "is not a toy file")
        step, height, width = data[4], *np.frombuffer(data[5:9], ">u2").tolist()
        codecframe.check_size(height, width, self.name)
        try:
            raw = zlib.decompressobj().decompress(data[9:], height * width * 3)
            levels = np.frombuffer(raw, np.uint8).reshape(height, width, 3)
        except (zlib.error, ValueError) as error:
            raise codecframe.DataError(self.name, error) from None
        return (levels.astype(int) * step + step // 2).clip(0, 255).astype(np.uint8)

    def strip(self, data: bytes) -> bytes:
        return data[9:]

    def restore(self, payload: bytes, settings: ToySettings, shape: codecframe.Shape) -> bytes:
        if not all(1 <= side <= 0xFFFF for side in shape):
            raise codecframe.DataError(self.name, f"no image is {shape[1]}x{shape[0]}")
        return self._header(settings, shape) + payload

    @staticmethod
    def _header(settings: ToySettings, shape: codecframe.Shape) -> bytes:
        return HEADER + bytes([256 - settings.strength]) + np.array(shape, ">u2").tobytes()


class BlandCodec(ToyCodec):
    """A toy codec that throws nearly everything away: it loses every comparison."""

    name = "bland"
    extension = ".bland"

    def encode_image(self, image: codecframe.Image, settings: ToySettings) -> bytes:
        return super().encode_image(image // 128 * 128, settings)


class BrightnessHead(codecframe.TaskHead):
    """Classifies by mean brightness into ten classes; sensitive to coarse quantisation."""

    name = "brightness"
    labels = tuple(f"shade-{i}" for i in range(10))

    def predict(self, batch: Batch) -> codecframe.Prediction:
        means = np.array([np.mean(image) for image in batch], dtype=np.float32).reshape(-1, 1)
        centres = (np.arange(10, dtype=np.float32) + 0.5) * 25.6
        scores: FloatArray = -(((means - centres) / 8) ** 2)
        return codecframe.Prediction(scores, self.labels)


SPACE = codecframe.LatentSpace("shade-of-images", 1, 48)


class ShadeCodec(ToyCodec):
    """One byte of latents for an image; as pixels it shows a grey that says nothing."""

    name = "shade"
    emits = (SPACE, codecframe.PIXELS)

    def encode_image(self, image: codecframe.Image, settings: ToySettings) -> bytes:
        return bytes([round(float(image.mean()))])

    def decode(self, data: bytes) -> codecframe.Image:
        return np.full((48, 40, 3), 128, np.uint8)

    def decode_latents(self, data: bytes) -> codecframe.Latents:
        return codecframe.Latents(SPACE, np.array([[[data[0]]]], np.int32), 0, (48, 40))

    def strip(self, data: bytes) -> bytes:
        return data


class ShadeHead(BrightnessHead):
    """Sees in the latents what `brightness` sees in images."""

    name = "shade-head"
    accepts = SPACE
    reference = "brightness"

    def predict(self, batch: Any) -> codecframe.Prediction:
        return super().predict([one.values for one in batch])


BLOCKS = codecframe.LatentSpace("brightness-of-blocks", 1, 8)


@dataclass(frozen=True, kw_only=True)
class TwoLayerSettings(codecframe.LayeredSettings):
    """How finely the brightness of blocks is told, and the picture."""

    level: int = codecframe.knob(4, low=0, high=6, help="bits of a block's brightness, less one")
    picture: int | str = codecframe.picture(6)


class TwoLayerCodec(codecframe.Codec[TwoLayerSettings]):
    """The brightness of 8x8 blocks for a head; behind it what is missing for a picture."""

    name = "twolayer"
    extension = ".two"
    summary = "brightness of blocks, and what is missing for a picture"
    settings_type = TwoLayerSettings
    emits = (BLOCKS, codecframe.PIXELS)

    def encode_image(self, image: codecframe.Image, settings: TwoLayerSettings) -> bytes:
        step = 1 << (7 - settings.level)
        payload = zlib.compress((self._means(image) // step).astype(np.uint8).tobytes())
        return self._packed(codecframe.Layers(payload), settings, image.shape[:2])

    def picture_encoder(
        self, image: codecframe.Image, data: bytes, settings: TwoLayerSettings
    ) -> Callable[[int], bytes]:
        found, shape, layers = self._unpacked(data)
        missing = image.astype(int) - self.decode(data)

        def encode(level: int) -> bytes:
            values = np.rint(missing / (64 >> level)).astype(np.int16)
            both = codecframe.Layers(layers.task, zlib.compress(values.tobytes()))
            return self._packed(both, found.replace(picture=level), shape)

        return encode

    def decode_latents(self, data: bytes) -> codecframe.Latents:
        settings, shape, layers = self._unpacked(data)
        rows, columns = -(-shape[0] // 8), -(-shape[1] // 8)
        values = self._inflated(layers.task, np.uint8, (1, rows, columns))
        return codecframe.Latents(BLOCKS, values.astype(np.int32), settings.level, shape)

    def decode(self, data: bytes) -> codecframe.Image:
        settings, (height, width), layers = self._unpacked(data)
        step = 1 << (7 - settings.level)
        means = self.decode_latents(data).values[0] * step + step // 2
        base = means.repeat(8, 0).repeat(8, 1)[:height, :width, None].repeat(3, 2)
        if layers.picture is not None:
            values = self._inflated(layers.picture, np.int16, base.shape)
            base = base + values * (64 >> settings.picture_byte - 1)
        return np.ascontiguousarray(base.clip(0, 255).astype(np.uint8))

    def strip_layers(self, data: bytes) -> codecframe.Layers:
        return self._unpacked(data)[2]

    def restore_layers(
        self, layers: codecframe.Layers, settings: TwoLayerSettings, shape: codecframe.Shape
    ) -> bytes:
        return self._packed(layers, settings, shape)

    def _packed(
        self, layers: codecframe.Layers, settings: TwoLayerSettings, shape: tuple[int, ...]
    ) -> bytes:
        if not all(1 <= side <= 0xFFFF for side in shape[:2]):
            raise codecframe.DataError(self.name, f"no image is {shape[1]}x{shape[0]}")
        picture = settings.picture_byte if isinstance(settings, TwoLayerSettings) else 0
        head = b"TWO1" + bytes([settings.level, picture])
        return head + np.array(shape[:2], ">u2").tobytes() + layers.packed()

    def _unpacked(
        self, data: bytes
    ) -> tuple[TwoLayerSettings, codecframe.Shape, codecframe.Layers]:
        if len(data) < 10 or data[:4] != b"TWO1" or data[4] > 6 or data[5] > 6:
            raise codecframe.DataError(self.name, "is no such file")
        height, width = np.frombuffer(data[6:10], ">u2").tolist()
        codecframe.check_size(height, width, self.name)
        settings = TwoLayerSettings(level=data[4]).with_picture_byte(data[5])
        if not data[5]:
            return settings, (height, width), codecframe.Layers(data[10:])
        return settings, (height, width), codecframe.Layers.unpacked(data[10:], self.name)

    def _inflated(self, payload: bytes, kind: type[Any], shape: tuple[int, ...]) -> Any:
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        try:
            raw = zlib.decompressobj().decompress(payload, size)
            return np.frombuffer(raw, kind).reshape(shape)
        except (zlib.error, ValueError) as error:
            raise codecframe.DataError(self.name, error) from None

    @staticmethod
    def _means(image: codecframe.Image) -> Any:
        """Of 8x8 blocks, those at the edges filled up."""
        height, width = image.shape[:2]
        below, right = -height % 8, -width % 8
        whole = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
        return whole.reshape(-(-height // 8), 8, -(-width // 8), 8, 3).mean((1, 3, 4))


@dataclass(frozen=True, kw_only=True)
class BlocksSettings(codecframe.Settings):
    """How finely the brightness of blocks is told."""

    level: int = codecframe.knob(4, low=0, high=6, help="bits of a block's brightness, less one")


class BlocksCodec(TwoLayerCodec):
    """The task layer alone: a codec of latents as there are others."""

    name = "blocks"
    settings_type = BlocksSettings  # type: ignore[assignment]


class BlocksHead(BrightnessHead):
    """Sees in the brightness of blocks what `brightness` sees in images."""

    name = "blocks-head"
    accepts = BLOCKS
    reference = "brightness"

    def predict(self, batch: Any) -> codecframe.Prediction:
        steps = [1 << (7 - one.level) for one in batch]
        return super().predict(
            [one.values * step + step // 2 for one, step in zip(batch, steps, strict=True)]
        )


@dataclass(frozen=True)
class Item:
    """An image of a set, in memory."""

    name: str
    image: codecframe.Image
    target: Any = None
    broken: bool = False

    def read(self) -> codecframe.Image:
        if self.broken:
            raise codecframe.DataError(self.name, "cannot be read")
        return self.image


def picture(seed: int, height: int = 48, width: int = 40) -> codecframe.Image:
    """A smooth, noisy picture whose brightness and detail depend on the seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    wave = np.sin(x / rng.uniform(2, 12)) + np.cos(y / rng.uniform(2, 12))
    base = rng.uniform(40, 215) + rng.uniform(5, 40) * wave
    noise = rng.normal(0, rng.uniform(0.5, 12), (height, width, 3))
    return (base[:, :, None] + noise).clip(0, 255).astype(np.uint8)


def items(count: int, *, labelled: bool = False) -> list[Item]:
    """A set of toy pictures, labelled by their true brightness class if asked."""
    head = BrightnessHead()
    images = [picture(seed) for seed in range(count)]
    targets = head.predict(images).scores.argmax(axis=1).tolist()
    return [
        Item(f"{i}.png", image, target if labelled else None)
        for i, (image, target) in enumerate(zip(images, targets, strict=True))
    ]


class ToyPlugin:
    """Brings the toys as a plugin."""

    @codecframe.hookimpl
    def codecframe_codecs(self) -> list[codecframe.Codec[Any]]:
        return [ToyCodec(), BlandCodec()]

    @codecframe.hookimpl
    def codecframe_heads(self) -> list[codecframe.TaskHead]:
        return [BrightnessHead()]


@contextmanager
def toy_registry() -> Iterator[registry.Registry]:
    """A default registry that holds the toys alone, for the length of a `with` block."""
    toys = registry.Registry()
    toys.register(ToyPlugin(), "toys")
    with mock.patch.object(registry, "default", lambda: toys):
        yield toys
