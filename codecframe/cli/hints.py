"""Remarks on what was asked for, where something else is likely meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from codecframe.cli import output

if TYPE_CHECKING:
    from codecframe.head import TaskHead


def tell_stand_ins(specs: Iterable[str], heads: Sequence[TaskHead]) -> None:
    """Where a head of pixels is to see what a learned codec shows people: which one, if not among
    these, is for its latents.
    """
    from codecframe.pipeline import stand_in
    from codecframe.preset import parse_spec

    names = {head.name for head in heads}
    for codec in [parse_spec(spec)[0] for spec in specs]:
        for head in heads:
            other = stand_in(codec, head)
            if other and other.name not in names:
                output.say(
                    f"codecframe: {head.name} sees what {codec.name} shows people; its latents go "
                    f"to the head {other.name}, which stands for {head.name}"
                )
