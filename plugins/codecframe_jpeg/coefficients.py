"""From pixels to quantised coefficients (ITU-T T.81, annex A), for many images of a size at once.

libjpeg cannot round coefficients down, nor use Huffman tables that both ends know, and Pillow and
imagecodecs do not ask it for arithmetic coding: this, `huffman`, `scan` and `arithmetic` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from codecframe_jpeg.settings import JpegSettings
from codecframe_jpeg.tables import ZIGZAG

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
"""JFIF's, from BT.601."""
_LARGEST = 1023


@dataclass(frozen=True)
class Blocks:
    """Quantised coefficients.

    Attributes:
        values: integers, (images, blocks, 64), in the order of the scan and in zigzag order.
        components: (blocks,): 0 for luma, 1 and 2 for chroma.
    """

    values: I64
    components: I64


def quantised(images: npt.NDArray[np.uint8], settings: JpegSettings) -> Blocks:
    """The coefficients of images, `uint8`, (n, height, width, 3), by the plugin's own encoder."""
    layout, found = settings.layout, []
    planes = transformed(images, layout.sampling)[: layout.components]
    for component, plane in enumerate(planes):
        table = layout.quantisation[min(component, 1)]
        steps = np.frombuffer(table, np.uint8).astype(np.float32)
        found.append(rounded(plane / steps, settings.deadzone).astype(np.int64))
    return _interleaved(found, images.shape[1:3], layout.sampling >> 4, layout.sampling & 15)


def rounded(scaled: F32, deadzone: float) -> F32:
    """Coefficients in steps, (..., 64), to whole steps: AC down by `deadzone` of a step."""
    rounding = np.full(64, 0.5 - deadzone, np.float32)
    rounding[0] = 0.5
    values = np.sign(scaled) * np.floor(np.abs(scaled) + rounding)
    return np.asarray(np.clip(values, -_LARGEST, _LARGEST), np.float32)


def transformed(images: npt.NDArray[np.uint8], sampling: int) -> list[F32]:
    """DCT of the blocks of luma and the two of chroma, each (n, rows, columns, 64), in zigzag
    order.
    """
    return [_transformed(plane) for plane in _planes(images, sampling >> 4, sampling & 15)]


def gradients(pixels: F32, sampling: int) -> list[F32]:
    """What `transformed` gives, for derivatives with respect to decoded pixels, (n, height, width,
    3), instead of images: derivatives with respect to the coefficients that were sent.
    """
    across, down = sampling >> 4, sampling & 15
    below, right = -pixels.shape[1] % (8 * down), -pixels.shape[2] % (8 * across)
    ycc = np.pad(pixels @ np.linalg.inv(TO_YCC), ((0, 0), (0, below), (0, right), (0, 0)))
    chroma = _squares(ycc[..., 1:], across, down).sum(axis=(2, 4))
    return [_transformed(p) for p in (ycc[..., 0], chroma[..., 0], chroma[..., 1])]


def pattern(shape: tuple[int, int], sampling: int, table: int, place: int) -> tuple[F32, int]:
    """What one coefficient of height 1 or -1 in every block, by turns, does to decoded pixels.

    Args:
        shape: (height, width) of the image.
        sampling: as for `quantised`.
        table: 0 for luma, 1 for both chroma components.
        place: of the coefficient, in zigzag order.

    Returns:
        Pixels, (height, width, 3), and how many blocks there are.
    """
    across, down = (sampling >> 4, sampling & 15) if table else (1, 1)
    rows, columns = -(-shape[0] // (8 * down)), -(-shape[1] // (8 * across))
    signs = 1 - 2 * (np.add.outer(np.arange(rows), np.arange(columns)) % 2)
    square = transform()[:, place].reshape(8, 8)
    plane = np.kron(np.kron(signs, square), np.ones((down, across)))[: shape[0], : shape[1]]
    ycc = np.zeros((*shape, 3), np.float32)
    for component in (1, 2) if table else (0,):
        ycc[..., component] = plane
    return ycc @ np.linalg.inv(TO_YCC).T, rows * columns * (1 + table)


def _planes(images: npt.NDArray[np.uint8], across: int, down: int) -> list[F32]:
    """Luma and chroma around 0; sides filled up to whole MCUs, chroma averaged."""
    ycc = images.astype(np.float32) @ TO_YCC.T
    ycc[..., 0] -= 128
    below, right = -images.shape[1] % (8 * down), -images.shape[2] % (8 * across)
    ycc = np.pad(ycc, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge")
    chroma = _squares(ycc[..., 1:], across, down).mean(axis=(2, 4), dtype=np.float32)
    return [ycc[..., 0], chroma[..., 0], chroma[..., 1]]


def _squares(samples: F32, across: int, down: int) -> F32:
    """(n, rows, down, columns, across, 2): what makes one sample of chroma."""
    n, height, width, _ = samples.shape
    return samples.reshape(n, height // down, down, width // across, across, 2)


def _transformed(plane: F32) -> F32:
    """DCT of all blocks, (n, rows, columns, 64), in zigzag order."""
    n, height, width = plane.shape
    blocks = plane.reshape(n, height // 8, 8, width // 8, 8).transpose(0, 1, 3, 2, 4)
    flat = blocks.reshape(n, height // 8, width // 8, 64)
    return np.asarray(flat @ transform(), np.float32)


@cache
def transform() -> F32:
    """The two-dimensional DCT as one matrix, from pixels row by row to zigzag order."""
    k, x = np.arange(8)[:, None], np.arange(8)
    basis = np.cos((2 * x + 1) * k * np.pi / 16) * np.where(k == 0, np.sqrt(1 / 8), 0.5)
    return np.kron(basis, basis)[ZIGZAG].T.astype(np.float32)


def _interleaved(
    components: Sequence[I64], shape: tuple[int, int], across: int, down: int
) -> Blocks:
    """All blocks in the order of the scan: MCU by MCU, luma first."""
    luma, *chroma = components
    n, rows, columns, _ = luma.shape
    if not chroma:
        return Blocks(luma.reshape(n, -1, 64), np.zeros(rows * columns, np.int64))
    units = (rows // down) * (columns // across)
    parts = [_luma(luma, shape, across, down).reshape(n, units, down * across, 64)]
    parts += [values.reshape(n, units, 1, 64) for values in chroma]
    order = np.array([0] * (down * across) + [1, 2])
    return Blocks(np.concatenate(parts, axis=2).reshape(n, -1, 64), np.tile(order, units))


def _luma(values: I64, shape: tuple[int, int], across: int, down: int) -> I64:
    """Luma's blocks, (n, blocks, 64), in the order of the scan.

    Those that only fill MCUs up, outside the image, repeat the DC before them and hold nothing
    else, as libjpeg writes them: that is cheapest.
    """
    n, rows, columns, _ = values.shape
    grid = np.arange(rows * columns).reshape(rows // down, down, columns // across, across)
    order = grid.transpose(0, 2, 1, 3).ravel()
    ordered = values.reshape(n, -1, 64)[:, order]
    seen = (order // columns * 8 < shape[0]) & (order % columns * 8 < shape[1])
    if not seen.all():
        ordered[:, ~seen, 1:] = 0
        last_seen = np.maximum.accumulate(np.where(seen, np.arange(len(order)), 0))
        ordered[..., 0] = ordered[:, last_seen, 0]
    return ordered
