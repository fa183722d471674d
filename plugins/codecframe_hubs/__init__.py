"""Classifiers of model hubs as heads, by name, as a codecframe plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import codecframe

if TYPE_CHECKING:
    from codecframe_hubs.head import HubHead
else:
    import lazy_loader

    __getattr__ = lazy_loader.attach(__name__, submod_attrs={"head": ["HubHead"]})[0]

__all__ = ["HubHead", "codecframe_open_head"]

_HUBS = ("timm", "torchvision", "hf")


@codecframe.hookimpl
def codecframe_open_head(spec: str, options: dict[str, Any]) -> codecframe.TaskHead | None:
    """Open `timm:NAME`, `torchvision:NAME` and `hf:REPOSITORY`."""
    hub, _, name = spec.partition(":")
    if hub not in _HUBS or not name:
        return None
    from codecframe_hubs.open import open_hub

    return open_hub(hub, name, codecframe.HeadOptions.read(options))
