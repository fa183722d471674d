"""Codecs in Hugging Face `datasets`: a function for `Dataset.map`.

small = dataset.map(Compress("webp", budget="0.5bpp"), batched=True)
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image

from codecframe.core.errors import DataError
from codecframe.core.image import Image
from codecframe.core.parallel import map_threads
from codecframe.images import read_image
from codecframe.integrations.augment import Augmentation, Draw

__all__ = ["Compress"]


@dataclass(frozen=True)
class Compress:
    """Compresses and decodes the images of a column, batch by batch.

    Plain data, so that `datasets` takes a result from its cache where nothing has changed. Draws
    depend on the seed and on each image, not on batches or processes.

    Args:
        codecs: what to draw from: `jpeg`, `jpeg:subsampling=4:4:4`, a model file...
        column: with the images, of the feature `Image`.
        budget: `0.8bpp` or `12kB` an image at most; two draw the rate between them. None leaves the
            settings as they are.
        knob: two values of the codecs' rate knob to draw between; not with a budget.
        p: how likely an image is changed at all.
        seed: of the draws.
        sizes: column for the bytes of each image's payload; none is made where this is empty.
    """

    codecs: str | tuple[str, ...] = "jpeg"
    column: str = "image"
    budget: str | tuple[str, str] | None = None
    knob: tuple[float, float] | None = None
    p: float = 1.0
    seed: int = 0
    sizes: str = "bytes"

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that change.

        Raises:
            DataError: if an entry is no image.
            SettingsError, UnknownNameError, BudgetError: if arguments name what does not exist.
        """
        augmentation = Augmentation(self.codecs, self.budget, self.knob, self.p)

        def made(entry: Any) -> tuple[PIL.Image.Image, int | None]:
            image = _pixels(entry)
            result, size = augmentation(image, Draw.of(image, self.seed))
            return PIL.Image.fromarray(result), size

        done = map_threads(made, list(batch[self.column]))
        columns: dict[str, Any] = {self.column: [image for image, _ in done]}
        if self.sizes:
            columns[self.sizes] = [size for _, size in done]
        return columns


def _pixels(entry: Any) -> Image:
    """An entry as an image: PIL's, an array, or encoded bytes."""
    if isinstance(entry, PIL.Image.Image):
        return np.asarray(entry.convert("RGB"))
    if isinstance(entry, Mapping) and entry.get("bytes"):
        return read_image(io.BytesIO(entry["bytes"]), "image")
    if isinstance(entry, Mapping) and entry.get("path"):
        return read_image(entry["path"])
    try:
        return np.ascontiguousarray(entry, np.uint8)
    except (TypeError, ValueError):
        raise DataError("image", f"a {type(entry).__name__} is none") from None
