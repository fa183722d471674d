"""A codec between camera and classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

import codecframe
from codecframe import Budget, fit_mean, parse_spec
from codecframe_vae.training.data import U8, Labelled
from codecframe_vae.training.recipes import ClassifierRecipe

_SAMPLE = 1000
"""Training images on which a codec's level is chosen and its rate measured."""


@dataclass(frozen=True)
class Channel:
    """A codec at a rate.

    Attributes:
        codec: the codec.
        settings: with its knob.
        bpp: mean payload rate, in bits per pixel.
    """

    codec: codecframe.Codec[Any]
    settings: codecframe.Settings
    bpp: float

    @classmethod
    def chosen(cls, recipe: ClassifierRecipe, training: Labelled) -> Self:
        """The recipe's codec, at the level whose mean payload rate over training images comes
        closest under `bpp`.
        """
        codec, settings = parse_spec(recipe.codec)
        some = np.linspace(0, len(training) - 1, _SAMPLE).astype(int)
        sample = [training.images[i] for i in some]
        settings = fit_mean(codec, settings, sample, Budget(recipe.bpp, "bpp", "mean"))
        size = sum(len(codec.strip(data)) for data in codec.encode_many(sample, settings))
        return cls(codec, settings, round(size * 8 / len(sample) / training.pixels, 4))

    def seen(self, images: U8) -> U8:
        """What the codec leaves of images, (n, height, width, 3)."""
        found = np.empty_like(images)
        for at in range(0, len(images), _SAMPLE):
            some = list(images[at : at + _SAMPLE])
            found[at : at + _SAMPLE] = self.codec.decode_many(
                self.codec.encode_many(some, self.settings)
            )
        return found
