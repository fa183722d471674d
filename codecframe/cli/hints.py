"""Remarks on what was asked for, where something else is likely meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from codecframe.cli import output

if TYPE_CHECKING:
    from codecframe.core.head import TaskHead


def tell_left_out(images: Iterable[tuple[str, str]]) -> int:
    """(name, reason) of images that could not be read; returns how many."""
    told = 0
    for name, reason in images:
        said = reason if reason.startswith(name) else f"{name}: {reason}"
        output.say(f"codecframe: left out {said}")
        told += 1
    return told


def tell_counterparts(specs: Iterable[str], heads: Sequence[TaskHead]) -> None:
    """Where a head of pixels is to see what a learned codec shows people: which one, if not among
    these, is for its latents.
    """
    from codecframe.pipeline import counterpart_remarks

    for remark in counterpart_remarks(specs, heads):
        output.say(f"codecframe: {remark}")
