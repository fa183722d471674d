"""Measuring: every point over every image, a chunk of images at a time.

The loop goes over chunks of images outside and over points inside, so that an image is read and
its uncompressed prediction made once, and memory does not grow with the set. What the table holds
already is not measured again.

Chunks never cross the ends of spans, and a cap's rate controller begins anew with each: what is
measured of a span does not depend on where, or after what, it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codecframe.core import registry
from codecframe.core.classification import Prediction
from codecframe.core.codec import Codec, Fit
from codecframe.core.errors import BudgetError, CodecframeError
from codecframe.core.head import TaskHead
from codecframe.core.image import Image, to_png
from codecframe.core.layers import Layered, LayeredSettings
from codecframe.core.parallel import chunks
from codecframe.core.progress import Progress
from codecframe.core.representation import PIXELS
from codecframe.core.settings import Settings
from codecframe.core.task import Task, TaskPrediction
from codecframe.evaluation.profile.ondevice import DeviceAnswer, DeviceTable
from codecframe.evaluation.profile.table import MeasuredImage, Measurement, Point, ProfileTable
from codecframe.evaluation.profile.timing import timed
from codecframe.images import ImageItem
from codecframe.pipeline import DeviceHead, decode_for, join
from codecframe.rate import Accounting, Budget, Ladder, RateController, controller, level_bytes

SPAN = 512
"""Images of a span."""
_CHUNK_PIXELS = 8_000_000
"""A chunk ends when it is reached, or the span's end."""
_ASKED_PIXELS = 2_000_000
"""The same where it is asked after each whether points are still wanted."""
_BATCH = 32
"""Images that are encoded and decoded, and timed, at a time."""
_WARMING = 2
"""Images by which libraries, models and threads are made ready before any is timed."""
SHOWN_IMAGES = 6
_SHOWN_PIXELS = 512 * 512
"""So many images, if no larger, are kept in the profile to be shown in reports."""


Wanted = Callable[[ProfileTable, Point], bool]
"""Whether a point is still to be measured, after what the table holds of it."""


@dataclass(frozen=True)
class _Chunk:
    """Consecutive images that could be read, prepared, with what is known of them."""

    first: int
    last: int
    ids: list[int]
    images: list[Image]
    targets: list[Any] | None
    reference: TaskPrediction | None

    def without(self, done: set[int]) -> list[int]:
        """Places of the images that are still to be measured."""
        return [i for i, position in enumerate(self.ids) if position not in done]


@dataclass(frozen=True)
class _Judged:
    """What the head made of an image; the fields are those of `Measurement`."""

    score: float | None
    rank: int | None
    agreement: float | None
    divergence: float | None
    record: Any


def spans(count: int) -> list[range]:
    """The spans of a set of `count` images."""
    return [range(first, min(first + SPAN, count)) for first in range(0, count, SPAN)]


def measure(
    table: ProfileTable,
    images: Sequence[ImageItem],
    head: TaskHead,
    points: Sequence[Point],
    *,
    prepare: bool,
    progress: Progress,
    span: range | None = None,
    devices: Sequence[DeviceHead] = (),
    wanted: Wanted | None = None,
) -> None:
    """Measure every point over every image and write it to the table.

    Args:
        table: where results go; what it holds is kept.
        images: the set; an unreadable image is noted in the table and left out.
        head, points, prepare: as `profile_images` has them.
        progress: told of every batch.
        span: only these images, one of `spans`.
        devices: heads on the device, which answer the images before they are encoded.
        wanted: asked now and then whether a point is still to be measured.

    Raises:
        MismatchError: if a codec does not fit the head, or labels are not the head's.
    """
    most = _CHUNK_PIXELS if wanted is None else _ASKED_PIXELS
    reader = _Reader(table, images, head, reference_of(head), prepare, most)
    runs: list[_DeviceRun | _Run] = [_DeviceRun(table.device, each, head) for each in devices]
    runs += [_Run(table, point, head) for point in points]
    skipped = table.skipped_ids()
    for part in spans(len(images)) if span is None else [span]:
        for run in runs:
            run.begin()
        first = part.start
        while first < part.stop:
            readable = set(range(first, part.stop)) - skipped
            if all(readable <= run.done(first, part.stop) for run in runs):
                progress.skip((part.stop - first) * len(runs), "already measured")
                break
            chunk = reader.chunk(first, part.stop)
            for run in runs:
                if isinstance(run, _Run) and wanted is not None and not wanted(table, run.point):
                    progress.skip(chunk.last - chunk.first, "")
                    continue
                note = run.measure(chunk)
                progress.advance(chunk.last - chunk.first, note)
            first = chunk.last


@dataclass(frozen=True)
class _Reader:
    """Reads a set, chunk by chunk of about `most` pixels, and notes in the table what it read."""

    table: ProfileTable
    images: Sequence[ImageItem]
    head: TaskHead
    reference: TaskHead | None
    prepare: bool
    most: int

    def chunk(self, first: int, last: int) -> _Chunk:
        """Images from `first` on, until `last` or until the chunk is large enough."""
        ids: list[int] = []
        read: list[Image] = []
        targets: list[Any] | None = [] if self.table.labelled else None
        position, pixels = first, 0
        while position < last and pixels < self.most:
            item = self.images[position]
            try:
                original = item.read()
                image = self.head.prepare(original) if self.prepare else original
            except CodecframeError as error:
                self.table.add_skipped(position, item.name, str(error))
            else:
                ids.append(position)
                read.append(image)
                if targets is not None:
                    shapes = original.shape[:2], image.shape[:2]
                    targets.append(self.head.truth(item.target, *shapes))
                pixels += image.shape[0] * image.shape[1]
            position += 1
        uncompressed = self.reference.predict(read) if read and self.reference else None
        chunk = _Chunk(first, position, ids, read, targets, uncompressed)
        self.table.add_images(self._noted(chunk))
        if targets and self.reference and uncompressed:
            scores = map(_plain, self.reference.score(uncompressed, targets))
            judged = zip(ids, scores, strict=True)
            self.table.add_uncompressed({i: score for i, score in judged if score is not None})
        return chunk

    def _noted(self, chunk: _Chunk) -> Iterator[MeasuredImage]:
        """What the table keeps of the images; what is large, of images that are shown alone."""
        task = self.head.task
        said = _said(task, chunk.reference, [position < SHOWN_IMAGES for position in chunk.ids])
        for i, (position, image) in enumerate(zip(chunk.ids, chunk.images, strict=True)):
            shape = image.shape[:2]
            shown = position < SHOWN_IMAGES and shape[0] * shape[1] <= _SHOWN_PIXELS
            kept = shown or not task.has_records
            yield MeasuredImage(
                position,
                self.images[position].name,
                shape,
                target=task.target_to_json(chunk.targets[i]) if chunk.targets and kept else None,
                reference=said[i],
                original=to_png(image) if shown else None,
            )


def reference_of(head: TaskHead) -> TaskHead | None:
    """Whose prediction of the uncompressed images `head` should agree with; None if nobody's, or
    if that head is not installed.
    """
    if not head.reference:
        return head if head.accepts == PIXELS else None
    try:
        other = registry.default().head(head.reference)
    except CodecframeError:
        return None
    return other if other.accepts == PIXELS and other.labels == head.labels else None


def _said(
    task: Task, prediction: TaskPrediction | None, shown: Sequence[bool]
) -> list[dict[str, Any] | None]:
    """What a head says of every image, as plain data; where that may be large, of those shown."""
    if prediction is None or not len(prediction):
        return [None] * len(shown)
    if isinstance(prediction, Prediction) and prediction.scores.ndim != 2:
        return [None] * len(shown)
    wanted = [i for i, is_shown in enumerate(shown) if is_shown or not task.has_records]
    said = dict(zip(wanted, task.to_json(prediction.take(wanted)) if wanted else [], strict=True))
    return [said.get(i) for i in range(len(shown))]


def _plain(value: Any) -> Any:
    """A number as the table holds it; what is not a number is unknown."""
    number = value.item() if isinstance(value, np.generic) else value
    return None if number != number else number  # noqa: PLR0124 - NaN


class _Run:
    """One point being measured."""

    def __init__(self, table: ProfileTable, point: Point, head: TaskHead) -> None:
        self._table = table
        self.point = point
        self._head = head
        self._codec: Codec[Any] = registry.default().codec(point.codec)
        join(self._codec, head)
        self._settings: Settings = self._codec.settings_type.from_dict(point.settings)
        self._id = table.add_point(point)
        self._controller = self._make_controller()
        self._warm = False

    def begin(self) -> None:
        """A span begins. A link's buffer goes on through all of them."""
        if self.point.mode == "cap":
            self._controller = self._make_controller()

    def _make_controller(self) -> RateController:
        if self.point.mode not in ("cap", "link"):
            return controller(self._codec, self._settings, None)
        budget = Budget.parse(self.point.budget)
        accounting = Accounting(self.point.accounting)
        return controller(self._codec, self._settings, budget, accounting)

    def done(self, first: int, last: int) -> set[int]:
        """The images in the range that are measured."""
        return self._table.done(self._id, first, last)

    def measure(self, chunk: _Chunk) -> str:
        """Measure the chunk's missing images; returns a note for the progress display."""
        if todo := chunk.without(self.done(chunk.first, chunk.last)):
            self._table.add(self._id, self._measure(chunk, todo))
        return f"{self.point.codec} {self._settings}"

    def _measure(self, chunk: _Chunk, todo: list[int]) -> list[Measurement]:
        images = [chunk.images[i] for i in todo]
        self._warm_up(images[:_WARMING])
        fits, encode_us = timed(self._controller.encode_many, images)
        fitting = [k for k, fit in enumerate(fits) if isinstance(fit, Fit)]
        datas = [fit.data for fit in fits if isinstance(fit, Fit)]
        batch, times = timed(self._decode, datas)
        decode_us = dict(zip(fitting, times, strict=True))
        prediction = self._head.predict(batch)
        judged = self._judge(chunk, [todo[k] for k in fitting], prediction)
        shown = [k for k in fitting if chunk.ids[todo[k]] < SHOWN_IMAGES]  # they come first
        first = prediction.take(range(len(shown)))
        views = dict(zip(shown, _said(self._head.task, first, [True] * len(shown)), strict=True))
        rows = dict(zip(fitting, judged, strict=True))
        overhead = level_bytes(self._settings) if self._controller.varies else 0
        made = []
        for k, (place, fit) in enumerate(zip(todo, fits, strict=True)):
            image = chunk.ids[place]
            if isinstance(fit, BudgetError):
                made.append(self._unfit(chunk, place, fit, encode_us[k]))
                continue
            payload, picture = _payload(self._codec, fit.data)
            made.append(
                Measurement(
                    image=image,
                    level=_level(self._settings, fit.settings),
                    file_bytes=len(fit.data),
                    payload_bytes=payload + overhead,
                    picture_bytes=picture,
                    **vars(rows[k]),
                    encode_us=encode_us[k],
                    decode_us=decode_us[k],
                    encodes=fit.encodes,
                    data=fit.data if image < SHOWN_IMAGES else None,
                    view=views.get(k),
                )
            )
        return made

    def _warm_up(self, images: list[Image]) -> None:
        """Encode and decode once: loading libraries and models is not part of the times."""
        if self._warm:
            return
        self._warm = True
        fits = list(self._make_controller().encode_many(images))
        list(self._decode(iter([fit.data for fit in fits if isinstance(fit, Fit)])))

    def _decode(self, datas: Iterator[bytes]) -> Iterator[Any]:
        """What the head accepts, for every encoding."""
        for some in chunks(datas, _BATCH):
            yield from decode_for(self._codec, self._head, some)

    def _judge(self, chunk: _Chunk, kept: list[int], prediction: TaskPrediction) -> list[_Judged]:
        """What the head made of the images that were encoded."""
        n = len(kept)
        scores = ranks = agreements = divergences = np.full(n, None)
        records: list[Any] = [None] * n
        if chunk.targets is not None and n:
            wanted = [chunk.targets[i] for i in kept]
            scores = self._head.score(prediction, wanted)
            found = self._head.ranks(prediction, wanted)
            ranks = ranks if found is None else found
            if self._head.task.has_records:
                records = self._head.task.records(prediction, wanted)
        if chunk.reference is not None and n:
            reference = chunk.reference.take(kept)
            pseudo = self._head.pseudo_targets(reference)
            agreements = self._head.score(prediction, pseudo)
            divergences = self._head.divergence(prediction, reference)
        columns = (list(map(_plain, each)) for each in (scores, ranks, agreements, divergences))
        return [_Judged(*row) for row in zip(*columns, records, strict=True)]

    def _unfit(
        self, chunk: _Chunk, place: int, error: BudgetError, encode_us: float
    ) -> Measurement:
        record = None
        if chunk.targets is not None and self._head.task.has_records:
            (record,) = self._head.task.missed([chunk.targets[place]])
        return Measurement(
            image=chunk.ids[place],
            level=0,
            record=record,
            score=None if chunk.targets is None else 0.0,
            agreement=None if chunk.reference is None else 0.0,
            encode_us=encode_us,
            least=error.smallest,
        )


class _DeviceRun:
    """A head on the device being measured."""

    def __init__(self, table: DeviceTable, device: DeviceHead, judge: TaskHead) -> None:
        device.check(judge)
        self._table, self._device, self._judge = table, device, judge

    def begin(self) -> None:
        """A span begins; each image is for itself."""

    def done(self, first: int, last: int) -> set[int]:
        """The images in the range that are answered."""
        return self._table.done(self._device.head.name, first, last)

    def measure(self, chunk: _Chunk) -> str:
        """Answer the chunk's missing images; returns a note for the progress display."""
        name = self._device.head.name
        for some in chunks(chunk.without(self.done(chunk.first, chunk.last)), _BATCH):
            self._table.add(name, self._answers(chunk, some))
        return f"{name} on the device"

    def _answers(self, chunk: _Chunk, some: list[int]) -> list[DeviceAnswer]:
        head, task = self._device.head, self._device.head.task
        images = [chunk.images[i] for i in some]
        (prediction,), times = timed(lambda batches: map(self._device.predict, batches), [images])
        scores = agreements = np.full(len(some), None)
        records: list[Any] = [None] * len(some)
        if chunk.targets is not None:
            wanted = [chunk.targets[i] for i in some]
            scores = head.score(prediction, wanted)
            records = task.records(prediction, wanted) if task.has_records else records
        if chunk.reference is not None:
            theirs = self._judge.pseudo_targets(chunk.reference.take(some))
            agreements = head.score(prediction, theirs)
        confidence, size = head.confidence(prediction).tolist(), self._device.sizes(prediction)
        us = times[0] / len(some)
        return [
            DeviceAnswer(
                chunk.ids[i], confidence[k], size[k], _plain(scores[k]), _plain(agreements[k]),
                records[k], us,
            )
            for k, i in enumerate(some)
        ]  # fmt: skip


def _payload(codec: Codec[Any], data: bytes) -> tuple[int, int | None]:
    """(bytes of the payload, those of its picture layer if it has one)."""
    if not isinstance(codec, Layered):
        return len(codec.strip(data)), None
    layers = codec.strip_layers(data)
    return len(layers.packed()), None if layers.picture is None else len(layers.picture)


def _level(given: Settings, chosen: Settings) -> int:
    """The level of what is varied: of the knob, or of the picture where one is wanted; 0 where it
    does not fit.
    """
    if isinstance(chosen, LayeredSettings) and Ladder(given).has_pictures:
        return chosen.picture_level or 0
    return chosen.level
