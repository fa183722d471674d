"""What a detector minds: derivatives of its boxes and scores, for tuning codecs.

The curvature of the loss around what the detector finds is taken to be that of Gauss and Newton:
J'WJ for the Jacobian J of its outputs and weights W. Its diagonal over pixels is what a sum of the
weighted outputs with random signs gives on average, its derivatives squared (Hutchinson, Commun.
Statist. Simulation Comput. 1990).

A score s weighs as the chance of a yes or no, 1 / (s (1 - s)) (its Fisher information); a side of a
box as its share of the box's size, times the score.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

_LEAST = 0.02
"""Scores below it are left out: there are thousands, of no object."""
_SIDES = 2.0
"""By how much a side, as a share of the box's size, counts more than a score."""


def slopes(
    scored: Callable[[Any], tuple[Any, Any]],
    values: npt.NDArray[Any],
    form: str,
    seed: int,
) -> npt.NDArray[np.float32]:
    """Derivatives of boxes and scores with random signs and their weights.

    Args:
        scored: the model in torch: boxes (1, n, 4) and scores (1, n, classes) for its input.
        values: its input, of one image.
        form: of the boxes, one of `layouts.FORMS`.
        seed: of the signs.

    Returns:
        With respect to `values`, of their shape.
    """
    import torch  # the model is torch's

    tensor = torch.from_numpy(values).float().requires_grad_()
    signs = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        boxes, scores = scored(tensor)
        kept = scores.detach()
        weight = (kept * (1 - kept)).clamp_min(1e-6).rsqrt() * (kept >= _LEAST)
        sums = (_signs(scores, signs) * weight * scores).sum()
        sizes = _sizes(boxes.detach(), form)
        sure = kept.amax(-1, keepdim=True)
        shares = _SIDES * (sure * (sure >= _LEAST)).sqrt() / sizes
        sums = sums + (_signs(boxes, signs) * shares * boxes).sum()
        (gradients,) = torch.autograd.grad(sums, tensor)
    return np.asarray(gradients.numpy(), np.float32)


def _signs(like: Any, generator: Any) -> Any:
    import torch

    return torch.randint(0, 2, like.shape, generator=generator) * 2.0 - 1


def _sizes(boxes: Any, form: str) -> Any:
    """(1, n, 4): width and height of each box, twice, in the boxes' unit."""
    sides = boxes[..., 2:] - boxes[..., :2] if form == "corners" else boxes[..., 2:]
    return sides.abs().clamp_min(1e-3).repeat(1, 1, 2)
