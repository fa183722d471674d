"""Selection straight from images: what is measured, and for which heads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from codecframe.core.errors import MismatchError
from codecframe.core.head import TaskHead
from codecframe.core.presets import parse_spec
from codecframe.core.progress import ProgressMaker
from codecframe.evaluation.profile import Plan, ProfileTable, profile_images
from codecframe.evaluation.select.answer import Selection
from codecframe.evaluation.select.choose import select
from codecframe.images import ImageItem
from codecframe.pipeline import counterparts, join
from codecframe.rate import Accounting, Budget


def select_on_images(
    path: Path | str,
    items: Sequence[ImageItem],
    heads: TaskHead | Sequence[TaskHead],
    budget: Budget,
    accounting: Accounting = Accounting.PAYLOAD,
    codecs: Sequence[str] = (),
    *,
    prepare: bool = True,
    progress: ProgressMaker | None = None,
) -> Selection:
    """Profile codecs at a budget over images, and select: both in one go.

    Args:
        path: where the profile is kept; those of further heads beside it, their names in its stem.
        items: the images.
        heads: judge the decoded images, each those of the codecs that it can be joined to. Where no
            codec is named, heads of latents that stand for one of these (`TaskHead.reference`) do,
            too.
        budget: what may be spent.
        accounting: which bytes count.
        codecs: specs such as `jpeg:optimize=true`; empty for every installed codec with a knob, at
            full and at half resolution and with presets that come with it and were made for the
            head.
        prepare: bring images to the geometry the head looks at before encoding them.
        progress: shows how far it is.

    Raises:
        MismatchError: if a codec that was named fits no head, or heads cannot be compared.
    """
    path = Path(path)
    with ExitStack() as stack:
        tables: list[ProfileTable] = []
        for head, named in _shares([heads] if isinstance(heads, TaskHead) else heads, codecs):
            plan = Plan(
                codecs=named, scales=(1.0, 0.5), presets=True, budget=budget, accounting=accounting
            )
            own = path.with_stem(f"{path.stem}-{Path(head.name).name}") if tables else path
            table = profile_images(own, items, head, plan, prepare=prepare, progress=progress)
            tables.append(stack.enter_context(table))
        return select(tables, budget, accounting)


def _shares(
    heads: Sequence[TaskHead], codecs: Sequence[str]
) -> list[tuple[TaskHead, Sequence[str]]]:
    """The heads, and which of the named codecs each is joined to.

    Raises:
        MismatchError: if a codec fits none of the heads, or two of these have one name.
    """
    names = {head.name for head in heads}
    if len(names) < len(heads):
        raise MismatchError("heads that are compared must have names of their own")
    if not codecs:
        more = [other for head in heads for other in counterparts(head) if other.name not in names]
        return [(head, ()) for head in [*heads, *more]]
    emitted = {spec: parse_spec(spec)[0] for spec in codecs}
    for codec in emitted.values():
        if not any(head.accepts in codec.emits for head in heads):
            join(codec, heads[0])
    shares = [
        (head, [spec for spec in codecs if head.accepts in emitted[spec].emits]) for head in heads
    ]
    return [(head, named) for head, named in shares if named]
