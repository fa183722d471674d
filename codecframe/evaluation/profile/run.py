"""Making a profile: plan, measure, keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import codecframe
from codecframe.core.errors import DataError, MismatchError
from codecframe.core.head import TaskHead
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.evaluation.profile.measure import Wanted, measure, reference_of
from codecframe.evaluation.profile.plan import Plan
from codecframe.evaluation.profile.spread import spread
from codecframe.evaluation.profile.table import ProfileTable
from codecframe.images import ImageItem
from codecframe.pipeline import DeviceHead
from codecframe.pipeline.engine import Engine, Local


def profile_images(
    path: Path | str,
    items: Sequence[ImageItem],
    head: TaskHead,
    plan: Plan,
    *,
    prepare: bool = True,
    progress: ProgressMaker | None = None,
    engine: Engine | None = None,
    head_name: str | None = None,
    devices: Sequence[DeviceHead] = (),
    wanted: Wanted | None = None,
) -> ProfileTable:
    """Measure a plan over images into the profile at `path`, going on where an earlier run stopped.

    Args:
        path, items, head, prepare, progress: as `codecframe.profile` takes them, opened; items are
            labelled if the first one has a target.
        plan: what to measure.
        engine: where to measure; by default here.
        head_name: by what the head is opened elsewhere, where that is not its name: its file...
        devices: heads on the device, which answer the images before they are encoded.
        wanted: asked now and then whether a point is still to be measured; here alone.

    Returns:
        The profile, open; close it, or use it as a context manager.

    Raises:
        MismatchError: if the file there is a profile of something else, a codec does not fit, a
            head of latents has neither labels nor a classifier of pixels to agree with, or a link's
            budget, whose images follow each other, is to be met elsewhere.
    """
    meta = _meta(items, head, prepare)
    if not meta["labelled"] and reference_of(head) is None:
        raise MismatchError(
            f"head {head.name!r} sees no uncompressed images, so that it is measured by labels "
            "alone: give labels"
        )
    table = ProfileTable.create(path, meta)
    try:
        points = plan.points(
            items, head, prepare=prepare, remembered=table.remembered, progress=progress
        )
        with (progress or Silent)((len(points) + len(devices)) * len(items)) as display:
            here = points
            if engine is not None and not isinstance(engine, Local):
                name, here = head_name or head.name, []
                spread(table, items, name, points, engine, prepare=prepare, progress=display)
            if here or devices:
                measure(
                    table, items, head, here, prepare=prepare, progress=display, devices=devices,
                    wanted=wanted,
                )  # fmt: skip
        if len(table.skipped()) == len(items):
            raise DataError("images", f"none of the {len(items)} can be read")
    except BaseException:
        table.close()
        raise
    return table


def _reference(head: TaskHead) -> str:
    """The name of the head that it should agree with."""
    if not head.reference:
        return head.name
    other = reference_of(head)
    return head.reference if other is None else other.name


def _meta(items: Sequence[ImageItem], head: TaskHead, prepare: bool) -> dict[str, Any]:
    return {
        "codecframe": codecframe.__version__,
        "head": head.name,
        "reference": _reference(head),
        "metric": head.metric,
        "task": head.task.name,
        "labelled": bool(items) and items[0].target is not None,
        "prepared": prepare,
        "images": len(items),
        "first_image": items[0].name if items else "",
    }
