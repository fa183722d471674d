"""Digests that tell whether what a training goes on with is what it began with."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from torch import nn


def text_digest(*values: Any) -> str:
    """Of plain data."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def network_digest(network: nn.Module, *values: Any) -> str:
    """Of names, types and values of a network's weights, and of plain data."""
    found = hashlib.sha256(text_digest(*values).encode())
    for name, tensor in sorted(network.state_dict().items()):
        array = tensor.detach().cpu().contiguous().float().numpy()
        found.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        found.update(array.tobytes())
    return found.hexdigest()
