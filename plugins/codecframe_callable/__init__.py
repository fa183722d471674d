"""Any Python function as a head, as a codecframe plugin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import codecframe

if TYPE_CHECKING:
    from codecframe_callable.head import CallableHead
else:
    import lazy_loader

    __getattr__ = lazy_loader.attach(__name__, submod_attrs={"head": ["CallableHead"]})[0]

__all__ = ["CallableHead", "codecframe_open_head"]

_HUBS = ("hf:", "timm:", "torchvision:")
"""Names of models, not of functions: of another plugin."""


@codecframe.hookimpl
def codecframe_open_head(spec: str, options: dict[str, Any]) -> codecframe.TaskHead | None:
    """Open `package.module:function`.

    Raises:
        DataError: if a Python file is named instead, with what would have been right.
    """
    if file := re.fullmatch(r"(.+)\.pyw?(:[\w.]*)?", spec):
        from codecframe_callable.head import module_hint

        raise codecframe.DataError(spec, module_hint(file[1], (file[2] or "")[1:]))
    if not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", spec) or spec.startswith(_HUBS):
        return None
    from codecframe_callable.head import open_callable

    return open_callable(spec, codecframe.HeadOptions.read(options))
