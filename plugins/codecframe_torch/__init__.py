"""Any torch classifier as a head, as a codecframe plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import codecframe

if TYPE_CHECKING:
    from codecframe_torch.head import TorchHead
    from codecframe_torch.model import TorchModel
else:
    import lazy_loader

    _places = {"head": ["TorchHead"], "model": ["TorchModel"]}
    __getattr__ = lazy_loader.attach(__name__, submod_attrs=_places)[0]

__all__ = ["TorchHead", "TorchModel", "codecframe_open_head"]


@codecframe.hookimpl
def codecframe_open_head(spec: str, options: dict[str, Any]) -> codecframe.TaskHead | None:
    """Open `*.pt2` (torch.export) and TorchScript (`*.pt`, `*.ts`, `*.pth`)."""
    if not spec.lower().endswith((".pt2", ".pt", ".ts", ".pth")):
        return None
    from codecframe_torch.files import open_head

    return open_head(spec, options)
