"""The images that a profile kept, decoded, as rows of a contact sheet."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image as PilImage

from codecframe.core import registry
from codecframe.core.errors import CodecframeError
from codecframe.core.image import Image, check_size
from codecframe.core.representation import PIXELS
from codecframe.core.task import Task
from codecframe.evaluation.profile import Measurement, ProfileTable
from codecframe.evaluation.report.series import Series, Spot
from codecframe.evaluation.report.sheet import SheetRow, Shown
from codecframe.rate import Accounting


def kept_images(
    table: ProfileTable, chosen: Iterable[tuple[Series, Spot]], accounting: Accounting
) -> tuple[list[str], list[SheetRow]]:
    """Headings and rows: the images that a profile kept, and what every chosen point made of them;
    points may be of other profiles of the same images.
    """
    pairs = list(chosen)
    columns = ["uncompressed"] + [f"{one.label}\n{spot.knob or spot.budget}" for one, spot in pairs]
    samples = [(one, one.table.samples(spot.number)) for one, spot in pairs]
    rows = []
    for image, (name, original, view, truth) in sorted(table.originals().items()):
        through = [_through(one, found.get(image), truth, accounting) for one, found in samples]
        task = table.task
        uncompressed = _shown(
            _drawn(task, _lossless(original), view, truth), says=_says(task, view)
        )
        rows.append(SheetRow(name, (uncompressed, *through)))
    return columns, rows


def _says(task: Task, view: Mapping[str, Any] | None) -> str:
    return task.words(view) if view else ""


def _drawn(
    task: Task, image: Image | None, view: Mapping[str, Any] | None, truth: Any
) -> Image | None:
    """A picture with what the head says drawn on it, beside the truth where that is known."""
    if image is None or view is None:
        return image
    try:
        return task.draw(image, view, truth)
    except CodecframeError:  # a stranger's
        return image


def _through(one: Series, found: Measurement | None, truth: Any, accounting: Accounting) -> Shown:
    if found is None:
        return Shown(None, note="not measured")
    if found.data is None:
        return Shown(None, note="does not fit the budget")
    task, says = one.table.task, _says(one.table.task, found.view)
    right = found.score if one.table.labelled else found.agreement
    if task.has_records:  # right in part
        right = None
        if found.agreement is not None:
            says = f"{says} ({100 * found.agreement:.0f} % agreement)"
    return _shown(
        _drawn(task, _decoded(one.codec, found.data), found.view, truth),
        size=found.file_bytes if accounting is Accounting.FILE else found.payload_bytes,
        says=says,
        agrees=None if right is None else right >= 0.5,
    )


def _shown(image: Image | None, **caption: Any) -> Shown:
    return Shown(image, note="" if image is not None else "cannot be shown", **caption)


def _decoded(name: str, data: bytes) -> Image | None:
    try:
        codec = registry.default().codec(name)
        return codec.decode(data) if PIXELS in codec.emits else None
    except CodecframeError:
        return None


def _lossless(data: bytes) -> Image | None:
    """The kept original; the profile may come from anywhere, so its size is checked first."""
    try:
        with PilImage.open(io.BytesIO(data), formats=["PNG"]) as picture:
            check_size(picture.height, picture.width, "profile")
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, CodecframeError):
        return None
