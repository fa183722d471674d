"""How a cut's maps and a codec's latents lie over an image whose sides are of any length.

A codec has latents for each square of stride x stride pixels that an image touches. A classifier's
layers may make a row less or more: convolutions without padding do. Maps are then cut off, or
filled up by repeating their last row and column.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

import codecframe
from codecframe import Shape

_MORE = 128
"""Images so much larger tell the stride of a cut."""
_STRIDES = (2, 4, 8, 16, 32, 64)
"""Those that the simple decoder can undo."""


@dataclass(frozen=True)
class Grid:
    """Over images of the size that a classifier takes.

    Attributes:
        stride: pixels between latents.
        image: its height and width, in pixels.
        maps: height and width of the cut's maps.
    """

    stride: int
    image: Shape
    maps: Shape

    @property
    def latents(self) -> Shape:
        """Rows and columns of the latents."""
        return squares(self.image[0], self.stride), squares(self.image[1], self.stride)

    @property
    def fits(self) -> bool:
        """Whether the cut's maps are those of the latents, whatever the image's size: as the size
        that is trained tells.
        """
        return self.is_whole and self.maps == self.latents

    @property
    def is_whole(self) -> bool:
        """Whether the sides are multiples of the stride."""
        return not any(side % self.stride for side in self.image)


def grid_of(front: nn.Module, layer: str, images: Tensor) -> Grid:
    """The grid of a cut.

    Args:
        front: the classifier's layers up to the cut.
        layer: its name, for messages.
        images: as the classifier takes them, (2, 3, height, width).

    Raises:
        MismatchError: if there is no stride, or it is not a power of two from 2 to 64.
    """
    height, width = images.shape[2:]
    with torch.no_grad():
        maps = front(images).shape[2:]
        try:
            more = front(images.new_zeros((2, 3, height + _MORE, width + _MORE))).shape[2:]
            steps = {_MORE / max(new - old, 1) for new, old in zip(more, maps, strict=True)}
        except Exception:  # layers that take images of one size alone
            steps = {height / maps[0], width / maps[1]}
            steps = {min(_STRIDES, key=lambda known: abs(known - step)) for step in steps}
    stride = steps.pop()
    if steps or stride not in _STRIDES:
        raise codecframe.MismatchError(
            f"layer {layer!r} makes maps of {maps[1]} x {maps[0]} for images of {width} x {height}:"
            f" their strides must be alike, and one of {', '.join(map(str, _STRIDES))}"
        )
    return Grid(int(stride), (height, width), (maps[0], maps[1]))


def blocked(grid: Grid, block: int) -> Grid:
    """The grid where block x block squares are one.

    Raises:
        MismatchError: if they do not fill the maps.
    """
    if block == 1:
        return grid
    rows, columns = (side // block for side in grid.maps)
    made = replace(grid, stride=grid.stride * block, maps=(rows, columns))
    if not grid.fits or not made.fits or made.stride not in _STRIDES:
        raise codecframe.MismatchError(
            f"blocks of {block} x {block} squares do not fill maps of {grid.maps[1]} x "
            f"{grid.maps[0]} at a stride of {grid.stride}"
        )
    return made


def squares(side: Any, stride: int) -> Any:
    """Squares that so many pixels touch."""
    return (side + stride - 1) // stride


def resized(maps: Tensor, rows: Any, columns: Any) -> Tensor:
    """Maps, (n, C, height, width), with so many rows and columns: cut off, or the last repeated."""
    for axis, count in ((2, rows), (3, columns)):
        at = torch.arange(count, device=maps.device).clamp(max=maps.shape[axis] - 1)
        maps = maps.index_select(axis, at)
    return maps
