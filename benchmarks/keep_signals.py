"""Light heads: how difficult an image is for a head, from what the camera knows anyway."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]

_EPOCHS, _BATCH, _RATE, _DECAY = 40, 128, 2e-3, 1e-2


def light_head(features: F32, confidence: Floats, hidden: int) -> Callable[[F32], Floats]:
    """A network of one hidden layer, or linear without any, that guesses the whole head's
    confidence: from features, (images, features), to difficulty, (images,).

    Args:
        features: of training images, (images, features).
        confidence: the head's in them, from 0 to 1, (images,).
        hidden: units of the hidden layer; 0 for none.
    """
    import torch
    from torch import nn

    torch.manual_seed(0)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    layers = [nn.Linear(features.shape[1], hidden), nn.ReLU()] if hidden else []
    net = nn.Sequential(*layers, nn.Linear(hidden or features.shape[1], 1))
    optimizer = torch.optim.AdamW(net.parameters(), _RATE, weight_decay=_DECAY)
    values = torch.from_numpy((features - mean) / scale)
    wanted = torch.from_numpy(confidence.astype(np.float32))
    steps = _EPOCHS * -(-len(values) // _BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(_EPOCHS):
        for some in torch.randperm(len(values)).split(_BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(
                net(values[some])[:, 0], wanted[some]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    def difficulty(seen: F32) -> Floats:
        with torch.no_grad():
            said = net(torch.from_numpy((seen - mean) / scale))[:, 0]
        return -np.asarray(said.numpy(), np.float64)

    return difficulty
