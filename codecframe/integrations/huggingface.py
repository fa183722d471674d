"""Codecs in Hugging Face `datasets`: a function for `Dataset.map`.

small = dataset.map(Compress("webp", budget="0.5bpp"), batched=True)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image

from codecframe.core.errors import DataError
from codecframe.core.image import Image
from codecframe.images import read_image
from codecframe.integrations.augment import ColumnCodec


@dataclass(frozen=True)
class Compress(ColumnCodec):
    """Compresses and decodes the images of a column, batch by batch or one by one.

    Images are read by the rules of `codecframe.images.read_image`; arrays must be `uint8`.

    Plain data, so that `datasets` takes a result from its cache where nothing has changed. Draws
    depend on the seed and on each image, not on batches or processes.

    Args:
        codecs: what to draw from: `jpeg`, `jpeg:subsampling=4:4:4`, a model file...
        column: with the images, of the feature `Image`.
        budget: `0.8bpp` or `12kB` an image at most; two draw the rate between them. None leaves the
            settings as they are; a `Keep` with what was measured takes the lowest level that surely
            keeps enough.
        knob: two values of the codecs' rate knob to draw between; not with a budget.
        p: how likely an image is changed at all.
        seed: of the draws.
        sizes: column for the bytes of each image's payload; none is made where this is empty.
    """

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that change, of a batch, or of one example where `map` is not `batched`.

        An entry that is None stays None, and so does its size.

        Raises:
            DataError: if there is no such column, or an entry is not an image.
            LimitError: if an image is over a limit.
            SettingsError, UnknownNameError, BudgetError: if arguments name what does not exist.
        """
        if self.column not in batch:
            raise DataError(
                "batch", f"has no column {self.column!r}; it has {', '.join(map(str, batch))}"
            )
        entries = batch[self.column]
        batched = _is_batch(entries)
        done = self._coded(list(entries) if batched else [entries], _pixels)
        images = [None if image is None else PIL.Image.fromarray(image) for image, _ in done]
        columns: dict[str, list[Any]] = {self.column: images}
        if self.sizes:
            columns[self.sizes] = [size for _, size in done]
        return columns if batched else {name: column[0] for name, column in columns.items()}


def _is_batch(entries: Any) -> bool:
    """Whether a column has the entries of several examples, and not the image of one.

    One image as nested lists or as an array has three levels, a batch of such has four.
    """
    if hasattr(entries, "ndim"):
        return bool(entries.ndim != 3)
    if not isinstance(entries, Sequence) or isinstance(entries, (str, bytes)):
        return False
    return not _holds_numbers(entries)


def _holds_numbers(entries: Any) -> bool:
    """Whether nested lists are those of one image: rows, columns, channels."""
    for _ in range(2):
        if not isinstance(entries, Sequence) or not entries or isinstance(entries, (str, bytes)):
            return False
        entries = entries[0]
    return isinstance(entries, Sequence) and bool(entries) and isinstance(entries[0], (int, float))


def _pixels(entry: Any) -> Image | None:
    """An entry as an image: Pillow's, an array, nested lists, or an encoded file; None of None."""
    if entry is None:
        return None
    if isinstance(entry, Mapping):
        if entry.get("bytes"):
            return read_image(entry["bytes"], entry.get("path") or "image")
        if entry.get("path"):
            return read_image(str(entry["path"]))
        raise DataError("image", "has neither bytes nor a path")
    if isinstance(entry, (list, tuple)):
        return read_image(_as_array(entry))
    if isinstance(entry, (str, bytes)):
        raise DataError("image", f"a {type(entry).__name__} is not an image")
    return read_image(np.asarray(entry) if hasattr(entry, "ndim") else entry)


def _as_array(rows: Any) -> Any:
    """Nested lists of integers from 0 to 255 as a `uint8` array; others as arrays of their kind."""
    try:
        array = np.asarray(rows)
    except ValueError:
        raise DataError("image", "is a list of rows of several lengths") from None
    whole = array.dtype.kind in "iu" and array.size
    return array.astype(np.uint8) if whole and array.min() >= 0 and array.max() <= 255 else array
