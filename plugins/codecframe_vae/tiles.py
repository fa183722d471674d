"""Large images in tiles that overlap, so that what is kept of each sees its surroundings."""

from __future__ import annotations

from dataclasses import dataclass

from codecframe.image import Shape

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

    def kept(self, stride: int) -> tuple[Slices, Slices]:
        """(where in the result, where in the tile's own) what is kept lies, in latents."""
        seen, kept = (self.rows, self.columns), (self.kept_rows, self.kept_columns)
        target = [slice(k.start // stride, k.stop // stride) for k in kept]
        source = [
            slice((k.start - s.start) // stride, (k.stop - s.start) // stride)
            for s, k in zip(seen, kept, strict=True)
        ]
        return (target[0], target[1]), (source[0], source[1])


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
