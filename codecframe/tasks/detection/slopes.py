"""What a detector minds: derivatives of its boxes and scores, for tuning codecs.

The curvature of the loss around what the detector finds is taken to be that of Gauss and Newton:
J'WJ for the Jacobian J of its outputs and weights W. Its diagonal over pixels is what a sum of the
weighted outputs with random signs gives on average, its derivatives squared (Hutchinson, Commun.
Statist. Simulation Comput. 1990).

Scores are as far apart as the chances of a yes or no are in the metric of their Fisher information,
1 / (s (1 - s)): by twice the difference of their angles, arcsin(sqrt(s)) (Rao, Bull. Calcutta Math.
Soc. 1945). A side of a box counts as its share of the box's size, times the score.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

_LEAST = 0.02
"""Scores that are below it on both sides are left out: there are thousands, of no object."""
_END = 1e-6
"""Angles have no slope at 0 and 1: they stay so far from there."""
_SIDES = 2.0
"""By how much a side, as a share of the box's size, counts more than a score."""


Found = tuple[Any, Any]
"""Tensors: boxes (images, n, 4) and scores (images, n, classes)."""


def residuals(found: Found, wanted: Found, form: str) -> Any:
    """How far boxes and scores are from others, (images, numbers).

    Args:
        found: of a detector.
        wanted: those that they should be; they say how much each box counts.
        form: of the boxes, one of `layouts.FORMS`.
    """
    import torch  # the outputs are torch's

    boxes, scores = (each.detach() for each in wanted)
    counted = torch.maximum(scores, found[1].detach()) >= _LEAST
    sure = scores.amax(-1, keepdim=True)
    shares = _SIDES * (sure * (sure >= _LEAST)).sqrt() / _sizes(boxes, form)
    apart = 2 * (_angles(found[1]) - _angles(scores)) * counted
    parts = [apart, shares * (found[0] - boxes)]
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


def _angles(scores: Any) -> Any:
    return scores.clamp(_END, 1 - _END).sqrt().arcsin()


def _sizes(boxes: Any, form: str) -> Any:
    """(images, n, 4): width and height of each box, twice, in the boxes' unit."""
    sides = boxes[..., 2:] - boxes[..., :2] if form == "corners" else boxes[..., 2:]
    return sides.abs().clamp_min(1e-3).repeat(1, 1, 2)
