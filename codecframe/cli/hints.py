"""Remarks on what was asked for, where something else is likely meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from codecframe.cli import output

if TYPE_CHECKING:
    from codecframe.core.head import TaskHead
    from codecframe.images import ImageSet


def tell_left_out(images: Iterable[tuple[str, str]]) -> int:
    """(name, reason) of images that could not be read; returns how many."""
    told = 0
    for name, reason in images:
        said = reason if reason.startswith(name) else f"{name}: {reason}"
        output.say(f"codecframe: left out {said}")
        told += 1
    return told


def tell_remarks(items: ImageSet) -> int:
    """What of the labels names no image; returns how many remarks there are."""
    for remark in items.remarks:
        output.say(f"codecframe: {remark}")
    return len(items.remarks)


def tell_counterparts(specs: Iterable[str], heads: Sequence[TaskHead]) -> None:
    """Where a head of pixels is to see what a learned codec shows people: which one, if not among
    these, is for its latents.
    """
    from codecframe.core.presets import parse_spec
    from codecframe.pipeline import counterpart

    names = {head.name for head in heads}
    for codec in [parse_spec(spec)[0] for spec in specs]:
        for head in heads:
            other = counterpart(codec, head)
            if other and other.name not in names:
                output.say(
                    f"codecframe: {head.name} sees what {codec.name} shows people; its latents go "
                    f"to the head {other.name}, which stands for {head.name}"
                )
