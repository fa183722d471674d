"""Reading text as a codecframe plugin: a task, and a head that reads."""

from __future__ import annotations

from collections.abc import Iterable

import codecframe


@codecframe.hookimpl
def codecframe_tasks() -> Iterable[codecframe.Task]:
    """Text."""
    from codecframe_ocr.task import TEXT

    return [TEXT]


@codecframe.hookimpl
def codecframe_heads() -> Iterable[codecframe.TaskHead]:
    """RapidOCR."""
    from codecframe_ocr.head import RapidOcrHead

    return [RapidOcrHead()]
