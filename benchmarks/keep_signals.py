"""A light head: a classifier small enough for a camera, of what the camera has anyway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_WIDTHS = 48, 64
_EPOCHS, _BATCH, _RATE, _DECAY = 8, 128, 3e-3, 1e-2
_SCALED = 2000
"""Images that say how large latents are."""


def light_head(
    known: npt.NDArray[Any], classes: Ints, confidence: Floats, count: int
) -> Callable[[npt.NDArray[Any]], Floats]:
    """Train two small convolutions to say what the whole head says: from what the camera has,
    (images, channels, rows, columns), to how unsure they are, (images,).

    Args:
        known: of training images.
        classes: what the whole head says of them.
        confidence: and how sure it is; the other classes share the rest.
        count: of classes.
    """
    import torch
    from torch import nn

    torch.manual_seed(0)
    values = torch.from_numpy(known)
    wanted, sure = torch.from_numpy(classes), torch.from_numpy(confidence.astype(np.float32))
    scale = values[:_SCALED].float().std((0, 2, 3), keepdim=True) + 0.1
    first, second = _WIDTHS
    net = nn.Sequential(
        nn.Conv2d(known.shape[1], first, 3, padding=1), nn.BatchNorm2d(first), nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1), nn.BatchNorm2d(second), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(second, count),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), _RATE, weight_decay=_DECAY)
    steps = _EPOCHS * -(-len(values) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    for _ in range(_EPOCHS):
        for some in torch.randperm(len(values)).split(_BATCH):
            said = net(values[some].float() / scale).log_softmax(1)
            own = said[torch.arange(len(some)), wanted[some]]
            rest = (said.sum(1) - own) / (count - 1)
            loss = -(sure[some] * own + (1 - sure[some]) * rest).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    net.eval()

    def unsure(seen: npt.NDArray[Any]) -> Floats:
        parts = []
        with torch.no_grad():
            for some in torch.from_numpy(seen).split(_BATCH):
                parts.append(net(some.float() / scale).softmax(1).amax(1).numpy())
        return -np.concatenate(parts).astype(np.float64)

    return unsure
