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


Found = tuple[Any, Any]
"""Tensors: boxes (images, n, 4) and scores (images, n, classes)."""


def residuals(found: Found, wanted: Found, form: str) -> Any:
    """How far boxes and scores are from others in the metric of these, (images, numbers).

    Args:
        found: of a detector.
        wanted: those that say what is minded.
        form: of the boxes, one of `layouts.FORMS`.
    """
    import torch  # the outputs are torch's

    boxes, scores = (each.detach() for each in wanted)
    weight = (scores * (1 - scores)).clamp_min(1e-6).rsqrt() * (scores >= _LEAST)
    sure = scores.amax(-1, keepdim=True)
    shares = _SIDES * (sure * (sure >= _LEAST)).sqrt() / _sizes(boxes, form)
    parts = [weight * (found[1] - scores), shares * (found[0] - boxes)]
    return torch.cat([part.flatten(1) for part in parts], 1)


def slopes(
    scored: Callable[[Any], Found],
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
        found = scored(tensor)
        errors = residuals(found, found, form)
        drawn = torch.randint(0, 2, errors.shape, generator=signs) * 2.0 - 1
        (gradients,) = torch.autograd.grad((drawn * errors).sum(), tensor)
    return np.asarray(gradients.numpy(), np.float32)


def _sizes(boxes: Any, form: str) -> Any:
    """(images, n, 4): width and height of each box, twice, in the boxes' unit."""
    sides = boxes[..., 2:] - boxes[..., :2] if form == "corners" else boxes[..., 2:]
    return sides.abs().clamp_min(1e-3).repeat(1, 1, 2)
