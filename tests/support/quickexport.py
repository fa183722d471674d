"""Exports to ONNX are most of what a small training takes; a third of each is torch's own table."""

from __future__ import annotations

import contextlib
import functools


def keep_table() -> None:
    """Let torch make its table of ONNX functions once, and not for each export."""
    with contextlib.suppress(ImportError):
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        made = functools.cache(ONNXRegistry.from_torchlib)
        setattr(ONNXRegistry, "from_torchlib", staticmethod(made))  # noqa: B010
