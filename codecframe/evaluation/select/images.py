"""Selection straight from images: what is measured, and for which heads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from codecframe.core.errors import MismatchError, PluginError
from codecframe.core.head import TaskHead
from codecframe.core.presets import parse_spec
from codecframe.core.progress import ProgressMaker
from codecframe.evaluation.profile import Plan, ProfileTable, profile_images
from codecframe.evaluation.select.answer import Selection
from codecframe.evaluation.select.choose import select
from codecframe.evaluation.select.limits import Limits
from codecframe.images import ImageItem
from codecframe.pipeline import DeviceHead, counterparts, join
from codecframe.rate import Accounting, Budget


def select_on_images(
    path: Path | str,
    items: Sequence[ImageItem],
    heads: TaskHead | Sequence[TaskHead],
    budget: Budget,
    accounting: Accounting = Accounting.PAYLOAD,
    codecs: Sequence[str] = (),
    limits: Limits | None = None,
    *,
    prepare: bool = True,
    progress: ProgressMaker | None = None,
    devices: Sequence[DeviceHead] = (),
    sure: float | None = None,
) -> Selection:
    """Profile codecs at a budget over images, and select: both in one go.

    Args:
        path: where the profile is kept; those of further heads beside it, their names in its stem.
        items: the images.
        heads: judge the decoded images, each those of the codecs that it can be joined to. Where no
            codec is named, heads of latents that stand for one of these (`TaskHead.reference`) do,
            too.
        budget, accounting, codecs, limits, prepare, progress, sure: as `codecframe.select` has
            them, opened.
        devices: heads on the device, behind which each codec is also considered.

    Raises:
        MismatchError: if a codec that was named fits no head, or heads cannot be compared.
        PluginError: if all that were named fail; where some do, the others are compared.
    """
    path = Path(path)
    judges = [heads] if isinstance(heads, TaskHead) else heads
    failed: dict[str, str] = {}

    def once() -> Selection:
        working = [spec for spec in codecs if spec.partition(":")[0].strip() not in failed]
        with ExitStack() as stack:
            tables: list[ProfileTable] = []
            for head, named in shares(judges, working):
                plan = Plan(
                    codecs=named,
                    scales=(1.0, 0.5),
                    presets=True,
                    budget=budget,
                    accounting=accounting,
                    without=tuple(failed),
                )
                own = profile_path(path, head) if tables else path
                table = profile_images(
                    own, items, head, plan, prepare=prepare, progress=progress, devices=devices
                )
                tables.append(stack.enter_context(table))
            measured = {point.codec for table in tables for point in table.points().values()}
            kept = sorted(measured - failed.keys()) if failed else None
            found = select(tables, budget, accounting, kept, limits, sure)
            return replace(found, failed=failed)

    while True:  # what is measured is kept
        try:
            return once()
        except PluginError as error:
            named = {spec.partition(":")[0].strip() for spec in codecs}
            fails = failed.keys() | {error.codec}
            if not error.codec or error.codec in failed or (named and named <= fails):
                raise
            failed[error.codec] = str(error)


def profile_path(path: Path, head: TaskHead) -> Path:
    """Where the profile of a further head lies: beside `path`, the head's name in its stem."""
    return path.with_stem(f"{path.stem}-{Path(head.name).name}")


def shares(
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
