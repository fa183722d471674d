"""Large images in tiles that overlap, so that what is kept of each sees its surroundings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codecframe import Image, Shape

SIDE = 1024
"""Rows and columns that a tile adds to the result; a multiple of all strides."""
HALO = 128
"""Rows and columns that it sees around them; a multiple of all strides."""

Slices = tuple[slice, slice]


@dataclass(frozen=True)
class Tile:
    """A part of an image.

    Attributes:
        rows, columns: that it sees.
        kept_rows, kept_columns: those of them that it adds to the result.
    """

    rows: slice
    columns: slice
    kept_rows: slice
    kept_columns: slice

    @property
    def shape(self) -> Shape:
        """(height, width) of what it sees."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def seen(self, stride: int) -> Slices:
        """What it sees of an image's latents."""
        return _strided(self.rows, stride), _strided(self.columns, stride)

    def kept(self, stride: int) -> tuple[Slices, Slices]:
        """(where in the result, where in the tile's own) what is kept lies, in latents."""
        top, left = self.rows.start, self.columns.start
        rows, columns = self.kept_rows, self.kept_columns
        own_rows = slice(rows.start - top, rows.stop - top)
        own_columns = slice(columns.start - left, columns.stop - left)
        return (
            (_strided(rows, stride), _strided(columns, stride)),
            (_strided(own_rows, stride), _strided(own_columns, stride)),
        )


def filled_up(image: Image, unit: int) -> Image:
    """The image, its last row and column repeated up to multiples of a unit."""
    below, right = (-side % unit for side in image.shape[:2])
    if not below and not right:
        return image
    return np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")


def _strided(pixels: slice, stride: int) -> slice:
    return slice(pixels.start // stride, -(-pixels.stop // stride))


def tiles_of(shape: Shape) -> list[Tile]:
    """The tiles of an image of (height, width); one where it is not larger than a tile."""
    rows, columns = (_spans(side) for side in shape)
    return [
        Tile(seen_rows, seen_columns, kept_rows, kept_columns)
        for seen_rows, kept_rows in rows
        for seen_columns, kept_columns in columns
    ]


def _spans(side: int) -> list[tuple[slice, slice]]:
    """(seen, kept) along one side."""
    if side <= SIDE + 2 * HALO:
        return [(slice(0, side), slice(0, side))]
    starts = range(0, side, SIDE)
    return [
        (
            slice(max(start - HALO, 0), min(start + SIDE + HALO, side)),
            slice(start, min(start + SIDE, side)),
        )
        for start in starts
    ]
