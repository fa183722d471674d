"""The picture layer of a model file: blocks to components, to payloads, and back to pixels.

Blocks of 8x8 pixels are transformed alone, by the orthonormal transform in the file. What a level
leaves of the components goes, with the latents of the task layer, through a small network that
makes the picture: it sees across blocks, so that there is no grid.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe import Image, Shape
from codecframe_vae.entropy.magnitude import MagnitudeArrays, MagnitudeModel
from codecframe_vae.entropy.walk import F32, I8
from codecframe_vae.runtime.tiles import filled_up

if TYPE_CHECKING:
    from codecframe_vae.runtime.model import Model
    from codecframe_vae.runtime.modelfile import Arrays

SIDE = 8
"""Rows and columns of a block."""
NETWORK = "picture_decoder"
PREFIX = "picture."
MOST_COMPONENTS = 1 << 24
"""Of one picture: they are coded one after the other."""
_ROUNDING = 0.4
"""Added to magnitudes before they are rounded down: halves cost more bits than they are worth."""


class PictureLayer:
    """What a model file says of pictures.

    Args:
        model: the model file.

    Raises:
        DataError: if it is not right.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        arrays = model.arrays
        try:
            self._forward, self._offset, self._steps, self._shifts, self._weight, groups = (
                arrays[PREFIX + name]
                for name in ("forward", "offset", "steps", "shifts", "weight", "groups")
            )
        except KeyError as error:
            raise self._broken(f"lacks {error}") from None
        if groups.dtype != np.int32 or groups.shape != (1,):
            raise self._broken("has a wrong 'groups'")
        self.groups = int(groups[0])
        self.channels = min(self._offset.size, 3 * SIDE * SIDE)
        levels = model.manifest.pictures
        shapes = {
            "forward": (self._forward, (self.channels, 3 * SIDE * SIDE)),
            "offset": (self._offset, (self.channels,)),
            "steps": (self._steps, (levels,)),
            "shifts": (self._shifts, (levels, *self._shifts.shape[1:])),
        }
        for name, (array, shape) in shapes.items():
            wrong = array.dtype != np.float32 or array.shape != shape or not array.size
            if wrong or not np.isfinite(array).all():
                raise self._broken(f"has a wrong {name!r}")
        if self._shifts.ndim != 2 or (self._steps <= 0).any():
            raise self._broken("has wrong steps or shifts")
        coding = {k: v for k, v in arrays.items() if k.startswith(PREFIX) and "shifts" not in k}
        self.digest = _digest(coding)
        self._coders: dict[int, MagnitudeModel] = {}

    def _broken(self, reason: str) -> codecframe.DataError:
        return codecframe.DataError(str(self._model.path), f"its picture layer {reason}")

    def check(self) -> None:
        """Look at the tables of all levels.

        Raises:
            DataError: if they do not go together.
        """
        for level in range(self._model.manifest.pictures):
            self.coder(level)

    def coder(self, level: int) -> MagnitudeModel:
        """The entropy coder of a level."""
        if level not in self._coders:
            try:
                arrays = MagnitudeArrays.taken(self._model.arrays, f"{PREFIX}{level}.")
                made = MagnitudeModel(self._weight, arrays, self.groups)
            except (KeyError, ValueError) as error:
                raise self._broken(f"is wrong at level {level}: {error}") from None
            if made.channels != self.channels:
                raise self._broken(f"has {made.channels} channels at level {level}")
            self._coders[level] = made
        return self._coders[level]

    # -- sizes ----------------------------------------------------------------------------

    @property
    def _unit(self) -> int:
        """Sides are filled up to multiples of it."""
        return max(SIDE, self._model.manifest.stride)

    def _filled(self, shape: Shape) -> Shape:
        unit = self._unit
        return -(-shape[0] // unit) * unit, -(-shape[1] // unit) * unit

    def grid(self, shape: Shape) -> Shape:
        """Rows and columns of blocks.

        Raises:
            LimitError: if there are too many of them.
        """
        height, width = self._filled(shape)
        if height * width // SIDE**2 * self.channels > MOST_COMPONENTS:
            raise codecframe.LimitError(
                f"a {shape[1]}x{shape[0]} picture is too large for this picture layer"
            )
        return height // SIDE, width // SIDE

    # -- encoding -------------------------------------------------------------------------

    def analyse(self, image: Image) -> F32:
        """Components of an image's blocks, `float32`, (C, rows, columns)."""
        rows, columns = self.grid(image.shape[:2])
        flat = blocks_of(filled_up(image, self._unit)[None])[0].reshape(3 * SIDE * SIDE, -1)
        found = self._forward @ flat.astype(np.float32) - self._offset[:, None]
        return np.asarray(found.reshape(self.channels, rows, columns), np.float32)

    def encode(self, components: F32, level: int) -> bytes:
        """The payload of a picture at a level."""
        coder = self.coder(level)
        return coder.encode(coder.clip(quantised(components, self._steps[level]))[None])[0]

    # -- decoding -------------------------------------------------------------------------

    def decode(self, payload: bytes, level: int, shape: Shape) -> I8:
        """Quantised components, (C, rows, columns), of an image of that shape.

        Raises:
            CorruptPayloadError: if no encoder wrote the payload.
        """
        sent: I8 = self.coder(level).decode([payload], *self.grid(shape))[0]
        return sent

    def image(self, latents: codecframe.Latents, sent: I8, level: int) -> Image:
        """The picture of both layers."""
        stride = self._model.manifest.stride
        filled = self._filled(latents.shape)
        values = self._model.dequantised(latents.values, latents.level)
        missing = [side // stride - n for side, n in zip(filled, values.shape[1:], strict=True)]
        values = np.pad(values, ((0, 0), (0, missing[0]), (0, missing[1])), mode="edge")
        maps = {"latents": (values, stride), "picture": (sent * self._steps[level], SIDE)}
        shift = self._shifts[level]
        return self._model.rebuilt(NETWORK, "its picture layer", maps, shift, filled, latents.shape)


def quantised(components: F32, step: npt.NDArray[np.float32]) -> F32:
    """Whole numbers of steps."""
    return np.copysign(np.floor(np.abs(components) / step + _ROUNDING), components)


def blocks_of(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Blocks of images whose sides are multiples of theirs, (n, 3 * 64, rows, columns)."""
    n, height, width, _ = images.shape
    rows, columns = height // SIDE, width // SIDE
    apart = images.reshape(n, rows, SIDE, columns, SIDE, 3).transpose(0, 5, 2, 4, 1, 3)
    return apart.reshape(n, 3 * SIDE * SIDE, rows, columns)


def _digest(arrays: Arrays) -> bytes:
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(name.encode())
        found.update(np.ascontiguousarray(arrays[name]).tobytes())
    return found.digest()[:4]
