"""What profiles that were stopped can still answer: which points, and on which images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import DataError
from codecframe.evaluation.profile.table import Point, ProfileTable

_ENOUGH = 0.5
"""A point is compared that has measured this share of the images that the fullest point has."""

_GO_ON = "the same `codecframe profile` command goes on"


@dataclass(frozen=True)
class Coverage:
    """How far profiles of the same images were measured.

    Attributes:
        expected: images that all points should have measured, as far as is known: an image that
            cannot be read is known once it was tried.
        images: positions of the images that all points in `kept` have measured, rising, `int64`.
        kept: of each profile, the ids of the points that can be compared.
        missing: points that have measured nothing, or too little to be compared.
        partial: points in `kept` that have not measured all images.
    """

    expected: int
    images: npt.NDArray[np.int64]
    kept: tuple[frozenset[int], ...]
    missing: tuple[Point, ...]
    partial: tuple[Point, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing and not self.partial

    def words(self) -> str:
        """What is missing, in one sentence; empty where nothing is."""
        if self.whole:
            return ""
        points = sum(len(numbers) for numbers in self.kept)
        said = (
            f"the profile is not complete: {points} of {points + len(self.missing)} points are "
            f"measured, on {len(self.images)} of {self.expected} images, which alone are compared"
        )
        if self.missing:
            counts: dict[str, int] = {}
            for point in self.missing:
                counts[point.codec] = counts.get(point.codec, 0) + 1
            said += "; missing: " + ", ".join(f"{n} of {codec}" for codec, n in counts.items())
        return f"{said}; {_GO_ON}"


def coverage(tables: Sequence[ProfileTable], codecs: Collection[str] | None = None) -> Coverage:
    """How far the points of some codecs were measured; of all codecs by default.

    Raises:
        DataError: if no point has measurements, or no image was measured at all of them.
    """
    points = [
        {n: p for n, p in table.points().items() if codecs is None or p.codec in codecs}
        for table in tables
    ]
    counts = [table.counts() for table in tables]
    most = max((c[n] for c, of in zip(counts, points, strict=True) for n in of), default=0)
    path = str(tables[0].path)
    if not most:
        raise DataError(path, f"holds no measurements yet; {_GO_ON}")
    kept = [
        frozenset(n for n in of if c[n] and c[n] >= _ENOUGH * most)
        for c, of in zip(counts, points, strict=True)
    ]
    images = reduce(
        np.intersect1d, [t.measured_by(of) for t, of in zip(tables, kept, strict=True) if of]
    )
    if not len(images):
        raise DataError(path, f"no image was measured by all points yet; {_GO_ON}")
    expected = max(int(t.meta.get("images", 0)) - len(t.skipped_ids()) for t in tables)
    every = list(zip(points, counts, kept, strict=True))
    missing = [p for of, _, ok in every for n, p in of.items() if n not in ok]
    partial = [p for of, c, ok in every for n, p in of.items() if n in ok and c[n] < expected]
    return Coverage(expected, images, tuple(kept), tuple(missing), tuple(partial))
