"""Any ONNX model as a head, as a codecframe plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import codecframe

if TYPE_CHECKING:
    from codecframe_onnx.head import OnnxHead
else:
    import lazy_loader

    __getattr__ = lazy_loader.attach(__name__, submod_attrs={"head": ["OnnxHead"]})[0]

__all__ = ["OnnxHead", "codecframe_open_head"]


@codecframe.hookimpl
def codecframe_open_head(spec: str, options: dict[str, Any]) -> codecframe.TaskHead | None:
    """Open `*.onnx`."""
    if not spec.lower().endswith(".onnx"):
        return None
    from codecframe_onnx.head import open_head

    return open_head(spec, options)
