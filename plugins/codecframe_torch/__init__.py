"""Any torch classifier as a head, as a codecframe plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import codecframe

if TYPE_CHECKING:
    from codecframe_torch.head import TorchHead

__all__ = ["TorchHead", "codecframe_open_head"]


@codecframe.hookimpl
def codecframe_open_head(spec: str, options: dict[str, Any]) -> codecframe.TaskHead | None:
    """Open `*.pt2` (torch.export) and TorchScript (`*.pt`, `*.ts`, `*.pth`)."""
    if not spec.lower().endswith((".pt2", ".pt", ".ts", ".pth")):
        return None
    from codecframe_torch.files import open_file

    return open_file(spec, codecframe.HeadOptions.read(options))


def __getattr__(name: str) -> Any:
    if name == "TorchHead":
        from codecframe_torch.head import TorchHead

        return TorchHead
    raise AttributeError(f"module 'codecframe_torch' has no attribute {name!r}")
