"""EfficientNet-Lite0, an ImageNet classifier, as a codecframe plugin."""

from __future__ import annotations

from collections.abc import Iterable

import codecframe


@codecframe.hookimpl
def codecframe_heads() -> Iterable[codecframe.TaskHead]:
    """The head `efficientnet-lite0`."""
    from codecframe_efficientnet.head import EfficientNetLite0

    return [EfficientNetLite0()]
