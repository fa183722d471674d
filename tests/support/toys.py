"""A tiny codec, head and image set: real enough to search, measure and select with."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

import codecframe
from codecframe.core import registry
from codecframe.core.head import Batch, FloatArray

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
