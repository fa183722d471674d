"""Accuracy, and fidelity of rebuilt images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codecframe_vae.training.data import I64, U8, to_tensor

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


AT_ONCE = 500
"""Images that are validated together."""


def top1(logits: Iterable[Tensor], targets: I64) -> float:
    """Per cent of the images whose highest logit, in batches of (n, classes), is their class's."""
    found = torch.cat([batch.argmax(1).cpu() for batch in logits]).numpy()
    return 100 * float(np.mean(found == targets))


def psnr(images: U8, rebuilt: U8) -> float:
    """Mean peak signal-to-noise ratio of images, (n, height, width, 3), in dB.

    Of equal images it is 108, so that the mean stays finite.
    """
    error = (images.astype(np.float64) - rebuilt) ** 2
    each = 10 * np.log10(255**2 / np.maximum(error.mean(axis=(1, 2, 3)), 1e-6))
    return float(each.mean())


def ms_ssim(images: U8, rebuilt: U8) -> float:
    """Mean multi-scale structural similarity (Wang, Simoncelli, Bovik, 2003).

    The window is 7 pixels wide and the scales are as many of the usual five as fit, so that images
    of 32x32 can be judged (three scales); the scales' weights are brought to sum to 1. Images of
    less than 7 pixels are one window.
    """
    a, b = to_tensor(images).float(), to_tensor(rebuilt).float()
    scales = max(1, min(len(_WEIGHTS), int(np.log2(min(a.shape[2:]) / 7)) + 1))
    weights = np.array(_WEIGHTS[:scales]) / sum(_WEIGHTS[:scales])
    similarity = torch.ones(len(a))
    for scale, weight in enumerate(weights):
        contrast, luminance = _ssim(a, b)
        term = contrast * luminance if scale == scales - 1 else contrast
        similarity *= term.mean((1, 2, 3)).clamp(min=1e-6) ** float(weight)
        a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
    return float(similarity.mean())


def _ssim(a: Tensor, b: Tensor, side: int = 7, sigma: float = 1.5) -> tuple[Tensor, Tensor]:
    """(contrast and structure, luminance) of SSIM, pixel by pixel."""
    height, width = (_line(min(side, most), sigma) for most in a.shape[2:])
    window = (height[:, None] * width).expand(3, 1, -1, -1)

    def mean(image: Tensor) -> Tensor:
        return functional.conv2d(image, window, groups=3)

    mean_a, mean_b = mean(a), mean(b)
    spread = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    together = mean(a * b) - mean_a * mean_b
    contrast = (2 * together + 58.5225) / (spread + 58.5225)
    luminance = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
    return contrast, luminance


def _line(side: int, sigma: float) -> Tensor:
    """A row of a Gaussian window."""
    x = torch.arange(side) - (side - 1) / 2
    line = torch.exp(-(x**2) / (2 * sigma**2))
    return line / line.sum()
