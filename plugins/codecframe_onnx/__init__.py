"""Any ONNX classifier as a head, as a codecframe plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import codecframe

if TYPE_CHECKING:
    from codecframe_onnx.head import OnnxHead

__all__ = ["OnnxHead", "codecframe_open_head"]


@codecframe.hookimpl
def codecframe_open_head(spec: str, options: dict[str, Any]) -> codecframe.TaskHead | None:
    """Open `*.onnx`."""
    if not spec.lower().endswith(".onnx"):
        return None
    from codecframe_onnx.head import OnnxHead

    chosen = codecframe.HeadOptions.read(options)
    return OnnxHead(spec, **vars(chosen))


def __getattr__(name: str) -> Any:
    if name == "OnnxHead":
        from codecframe_onnx.head import OnnxHead

        return OnnxHead
    raise AttributeError(f"module 'codecframe_onnx' has no attribute {name!r}")
