"""Codecs in Ray Data: a function for `map_batches`.

small = dataset.map_batches(CodecTransform("webp", budget="0.5bpp"))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codecframe.core.errors import DataError
from codecframe.integrations.augment import ColumnCodec


@dataclass(frozen=True)
class CodecTransform(ColumnCodec):
    """Compresses and decodes the images of a column of numpy batches.

    Plain data, so that it travels to the workers. Draws depend on the seed and on each image, not
    on batches or workers.

    Args:
        codecs: what to draw from: `jpeg`, `jpeg:subsampling=4:4:4`, a model file...
        column: with the images, `uint8`, (n, height, width, 3), or n arrays of several sizes.
        budget: `0.8bpp` or `12kB` an image at most; two draw the rate between them. None leaves the
            settings as they are; a `Keep` with what was measured takes the lowest level that surely
            keeps enough.
        knob: two values of the codecs' rate knob to draw between; not with a budget.
        p: how likely an image is changed at all.
        seed: of the draws.
        sizes: column for the bytes of each image's payload, `int64`, -1 for one that was left as it
            is; none is made where this is empty.
    """

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch with its images as they come out of a codec.

        Raises:
            DataError: if there are no such images.
            SettingsError, UnknownNameError, BudgetError: if arguments name what does not exist.
        """
        if self.column not in batch:
            raise DataError("batch", f"has no column {self.column!r}")
        done = self._coded(list(batch[self.column]), np.ascontiguousarray)
        columns = dict(batch)
        columns[self.column] = _column([image for image, _ in done])
        if self.sizes:
            columns[self.sizes] = np.array([-1 if s is None else s for _, s in done], np.int64)
        return columns


def _column(images: list[Any]) -> Any:
    """One array, of arrays where sizes differ."""
    if len({image.shape for image in images}) == 1:
        return np.stack(images)
    column = np.empty(len(images), object)
    column[:] = images
    return column
