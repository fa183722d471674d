"""JPEG as a torch module: what a decoder would show, and what it would cost, with gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

import codecframe
from codecframe_jpeg import tables
from codecframe_jpeg.coefficients import F32, TO_YCC, transform
from codecframe_jpeg.settings import SUBSAMPLINGS, JpegSettings

ROUNDINGS = ("cubic", "straight")
_LEARNED = (1.0, 255.0)
_NONZERO, _SIZE, _BLOCK = 3.68, 0.94, 5.17
"""Bits of a coefficient that is not 0, of each doubling of it, and of a block: fitted to the scans
that libjpeg writes of photographs at qualities from 10 to 90, with the standard Huffman tables."""


class DifferentiableJpeg(nn.Module):
    """Encodes and decodes images by JPEG, in a way that gradients pass.

    As libjpeg does it: JFIF's colours, chroma averaged and interpolated linearly ("fancy
    upsampling"), the quality scaling of the Independent JPEG Group. The outputs are those of a real
    decoder but for its integer arithmetic.

    Args:
        settings: quality, quantisation tables and subsampling; others do not change pixels, or are
            refused.
        rounding: how gradients pass the rounding of coefficients. `cubic` adds the cube of the
            rounding error (Shin & Song, "JPEG-resistant adversarial images", 2017), so that they
            vanish where a step changes nothing; `straight` lets them pass unchanged. What comes out
            of `straight` is exactly rounded.
        learned: make the quantisation steps parameters.

    Raises:
        SettingsError: for settings that have no gradients: `scale`, `smoothing`.
    """

    log_steps: Tensor
    _to_ycc: Tensor
    _dct: Tensor

    def __init__(
        self,
        settings: JpegSettings | None = None,
        *,
        rounding: str = "straight",
        learned: bool = False,
    ) -> None:
        super().__init__()
        settings = settings or JpegSettings()
        if rounding not in ROUNDINGS:
            raise codecframe.SettingsError("rounding", rounding, f"one of {', '.join(ROUNDINGS)}")
        for name in ("scale", "smoothing"):
            if name in settings.changed():
                raise codecframe.SettingsError(name, getattr(settings, name), "the default")
        self._settings = settings
        self._rounding = rounding
        self._deadzone = settings.deadzone
        self._has_chroma = settings.subsampling != "4:0:0"
        sampling = SUBSAMPLINGS[settings.subsampling]
        self._across, self._down = sampling >> 4, sampling & 15
        steps = torch.tensor(_steps(settings), dtype=torch.float32).log()
        if learned:
            self.log_steps = nn.Parameter(steps)
        else:
            self.register_buffer("log_steps", steps)
        self.register_buffer("_to_ycc", torch.from_numpy(TO_YCC.copy()), persistent=False)
        self.register_buffer("_dct", torch.from_numpy(_by_rows()), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Decoded images.

        Args:
            images: float, 0 to 1, RGB, (n, 3, height, width).

        Returns:
            The same, of the same shape; gradients pass to images and, if they are learned, steps.
        """
        return self.coded(images)[0]

    def coded(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Decoded images, and an estimate of the bits of each one's scan, (n,).

        The estimate is that of the standard Huffman tables: within 15 per cent for photographs of
        some thousand pixels and more.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ValueError("DifferentiableJpeg takes float images, (n, 3, height, width)")
        height, width = images.shape[2:]
        decoded, bits = [], torch.zeros(len(images), device=images.device)
        for component, plane in enumerate(self._planes(images)):
            steps = self.log_steps[min(component, 1)].clamp(*map(math.log, _LEARNED)).exp()
            quantised = self._rounded(_blocks(plane) @ self._dct.T / steps)
            bits = bits + _bits(quantised)
            decoded.append(_plane((quantised * steps) @ self._dct, plane.shape[1:]))
        return self._joined(decoded)[:, :, :height, :width], bits

    def settings(self) -> JpegSettings:
        """Settings of a real encoder with these steps, in integers."""
        steps = self.log_steps.detach().exp().round().clamp(*_LEARNED).int().tolist()
        used = tuple(map(tuple, steps[: 1 + self._has_chroma]))
        return self._settings.replace(quality=50, qtables=used)

    def _planes(self, images: Tensor) -> list[Tensor]:
        """Luma and chroma around 0, (n, height, width), filled up to whole MCUs."""
        height, width = images.shape[2:]
        edges = (0, -width % (8 * self._across), 0, -height % (8 * self._down))
        padded = functional.pad(images.float() * 255, edges, mode="replicate")
        ycc = torch.einsum("cd,ndhw->nchw", self._to_ycc, padded)
        planes = [ycc[:, 0] - 128]
        if self._has_chroma:
            chroma = functional.avg_pool2d(ycc[:, 1:], (self._down, self._across))
            planes += [chroma[:, 0], chroma[:, 1]]
        return planes

    def _joined(self, planes: list[Tensor]) -> Tensor:
        """Images 0 to 1 of decoded planes."""
        luma = planes[0] + 128
        if self._has_chroma:
            chroma = torch.stack(planes[1:], 1)
            if chroma.shape[2:] != luma.shape[1:]:
                chroma = functional.interpolate(
                    chroma, size=luma.shape[1:], mode="bilinear", align_corners=False
                )
        else:
            chroma = luma.new_zeros(len(luma), 2, *luma.shape[1:])
        ycc = torch.cat([luma[:, None], chroma], 1)
        pixels = torch.einsum("cd,ndhw->nchw", torch.linalg.inv(self._to_ycc), ycc)
        return _straight(pixels.clamp(0, 255)) / 255

    def _rounded(self, scaled: Tensor) -> Tensor:
        """Coefficients in steps to whole steps, (n, blocks, 64); the first is DC."""
        with torch.no_grad():
            offset = torch.full((64,), 0.5 - self._deadzone, device=scaled.device)
            offset[0] = 0.5
            whole = scaled.sign() * (scaled.abs() + offset).floor()
        if self._rounding == "straight":
            return scaled + (whole - scaled).detach()
        return whole + (scaled - whole) ** 3


def _steps(settings: JpegSettings) -> list[list[int]]:
    """Quantisation steps of luma and chroma, row by row."""
    chosen = settings.qtables or (tables.LUMA, tables.CHROMA)
    return [tables.scaled(table, settings.quality) for table in (chosen[0], chosen[-1])]


def _by_rows() -> F32:
    """The two-dimensional DCT as a matrix, (64, 64), of pixels and coefficients row by row."""
    return transform()[:, [tables.ZIGZAG.index(place) for place in range(64)]].T.copy()


def _blocks(plane: Tensor) -> Tensor:
    """(n, blocks, 64), each row by row."""
    n, height, width = plane.shape
    split = plane.view(n, height // 8, 8, width // 8, 8).transpose(2, 3)
    return split.reshape(n, -1, 64)


def _plane(blocks: Tensor, size: torch.Size) -> Tensor:
    """The inverse of `_blocks`."""
    height, width = size
    split = blocks.view(len(blocks), height // 8, width // 8, 8, 8).transpose(2, 3)
    return split.reshape(len(blocks), height, width)


def _straight(values: Tensor) -> Tensor:
    """Rounded; gradients pass as if it were not."""
    return values + (values.round() - values).detach()


def _bits(quantised: Tensor) -> Tensor:
    """About what the coefficients of each image cost, (n,), for (n, blocks, 64)."""
    ac = quantised[..., 1:].abs()
    dc = quantised[..., 0]
    change = torch.cat([dc[:, :1], dc[:, 1:] - dc[:, :-1]], 1).abs()
    nonzero = ac / (ac + 0.25) * 1.25  # 1 at 1, and a slope at 0
    per_block = _NONZERO * nonzero.sum(2) + _SIZE * torch.log2(1 + ac).sum(2)
    return (per_block + torch.log2(1 + change) * _SIZE + _BLOCK).sum(1)
