"""Any ONNX classifier as a head, as a codecframe plugin."""

from __future__ import annotations

from typing import Any

import codecframe


@codecframe.hookimpl
def codecframe_open_head(spec: str, options: dict[str, Any]) -> codecframe.TaskHead | None:
    """Open `*.onnx`."""
    if not spec.lower().endswith(".onnx"):
        return None
    from codecframe_onnx.head import OnnxHead

    return OnnxHead(spec, **options)
