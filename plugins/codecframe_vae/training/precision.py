"""bfloat16, where it is exact enough and the device is fast with it."""

from __future__ import annotations

import torch


def fast_type(device: str) -> torch.dtype:
    """bfloat16; float32 on processors that emulate it, several times as slow, or may do so."""
    emulated = torch.device(device).type == "cpu" and not (
        torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    )
    return torch.float32 if emulated else torch.bfloat16


def autocast(device: str) -> torch.autocast:
    """What may be computed in `fast_type` is."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=fast_type(kind) is torch.bfloat16)
