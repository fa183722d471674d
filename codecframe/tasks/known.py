"""All tasks: those of codecframe and those of plugins."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from codecframe.core import registry
from codecframe.core.errors import UnknownNameError
from codecframe.core.task import Task

_OWN = {
    "classification": "core.classification:CLASSIFICATION",
    "multilabel": "tasks.multilabel:MULTILABEL",
    "detection": "tasks.detection:DETECTION",
    "segmentation": "tasks.segmentation:SEGMENTATION",
    "embedding": "tasks.embedding:EMBEDDING",
}


def tasks() -> Mapping[str, Task]:
    """All tasks by name, codecframe's own first.

    Examples:
        >>> list(cf.tasks())[:3]
        ['classification', 'multilabel', 'detection']
    """
    own = {name: get_task(name) for name in _OWN}
    return {**own, **{k: v for k, v in registry.default().tasks.items() if k not in own}}


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UnknownNameError: if there is none; names the nearest.

    Examples:
        >>> cf.get_task("detection").metric
        'mAP'
    """
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        found: Task = getattr(importlib.import_module(f"codecframe.{module}"), attribute)
        return found
    known = registry.default().tasks
    if name not in known:
        raise UnknownNameError("task", name, [*_OWN, *known])
    return known[name]
