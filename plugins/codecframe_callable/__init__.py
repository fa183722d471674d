"""Any Python callable as a head, as a codecframe plugin."""

from __future__ import annotations

import re
from typing import Any

import codecframe

__all__ = ["CallableHead"]


def __getattr__(name: str) -> Any:
    if name == "CallableHead":
        from codecframe_callable.head import CallableHead

        return CallableHead
    raise AttributeError(name)


@codecframe.hookimpl
def codecframe_open_head(spec: str, options: dict[str, Any]) -> codecframe.TaskHead | None:
    """Open `package.module:function`."""
    if not re.fullmatch(r"[\w.]+:[\w.]+", spec):
        return None
    from codecframe_callable.head import import_function, made_head

    return made_head(import_function(spec), options, spec)
