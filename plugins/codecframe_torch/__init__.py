"""Any torch classifier as a head, as a codecframe plugin."""

from __future__ import annotations

from typing import Any

import codecframe

__all__ = ["TorchHead"]


def __getattr__(name: str) -> Any:
    if name == "TorchHead":
        from codecframe_torch.head import TorchHead

        return TorchHead
    raise AttributeError(name)


@codecframe.hookimpl
def codecframe_open_head(spec: str, options: dict[str, Any]) -> codecframe.TaskHead | None:
    """Open `*.pt2` (torch.export) and `*.pt`, `*.ts` (TorchScript)."""
    if not spec.lower().endswith((".pt2", ".pt", ".ts", ".pth")):
        return None
    from codecframe_torch.head import load_module, made_head

    return made_head(load_module(spec), options, spec)
