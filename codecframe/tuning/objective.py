"""What settings are worth: a head's loss at a budget, by real encodes of real images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.classification import FloatArray, Prediction
from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError
from codecframe.core.head import Batch, TaskHead
from codecframe.core.image import Image
from codecframe.core.settings import Settings
from codecframe.core.task import TaskPrediction
from codecframe.pipeline import decode_for
from codecframe.rate import Accounting, Budget, counted_size, fit_mean
from codecframe.tuning.memory import Memory

F64 = npt.NDArray[np.float64]

_SAMPLE = 64
"""Images on which the knob's level for the budget is found."""
_TURNS = 5
"""Times that settings are timed beside others, by turns."""


@dataclass(frozen=True)
class Score:
    """What settings are worth over a set of images.

    Between the two knob levels around the budget, losses, scores and times are interpolated, so
    that settings are compared at the very same rate.

    Attributes:
        settings: with the knob at the highest level whose mean rate is within the budget.
        losses: of each image, (n,): cross-entropy against labels, or divergence from the head's
            prediction on the uncompressed image.
        scores: of each image, from 0 to 1, (n,): against labels, or the head's own prediction.
        size: mean bytes at that level.
        encode_us: microseconds an image takes to encode.

    Examples:
        >>> settings = cf.get_codec("webp").settings()
        >>> score = cf.Score(settings, np.float64([0.5, 1.5]), np.float64([1, 0]), 900.0, 80.0)
        >>> score.loss, score.score
        (1.0, 0.5)
    """

    settings: Settings
    losses: F64
    scores: F64
    size: float
    encode_us: float

    @property
    def loss(self) -> float:
        """Mean loss."""
        return float(self.losses.mean())

    @property
    def score(self) -> float:
        """Mean score."""
        return float(self.scores.mean())


class Objective:
    """A head, images and a budget.

    Args:
        head: what judges.
        images: as the head wants them before any codec.
        targets: their labels as the head's targets, or None.
        budget: met on average over the images.
        accounting: which bytes count.
        clock: seconds, by which encoding is timed; by default of the processor, so that other
            programs on this machine do not count.

    Examples:
        >>> head = cf.get_head("photo_heads:brightness")
        >>> budget = cf.Budget.parse("900B", mode="mean")
        >>> objective = cf.Objective(head, [photo, photo], None, budget, cf.Accounting.PAYLOAD)
        >>> codec = cf.get_codec("webp")
        >>> objective.measure(codec, codec.settings()).score  # agreement, as there are no targets
        1.0
    """

    def __init__(
        self,
        head: TaskHead,
        images: Sequence[Image],
        targets: Sequence[Any] | None,
        budget: Budget,
        accounting: Accounting,
        clock: Callable[[], float] = process_time,
    ) -> None:
        Budget.of(budget)  # refuses what must stay right
        self.head = head
        self.images = list(images)
        self.budget = budget
        self.accounting = accounting
        self._clock = clock
        self._reference: TaskPrediction | None = None
        if targets is None:
            self._reference = head.predict(self.images)
            targets = head.pseudo_targets(self._reference)
        self._targets = list(targets)
        shapes = [image.shape[:2] for image in self.images]
        self.allowance = float(np.mean([budget.allowance(shape) for shape in shapes]))
        self._known: dict[tuple[str, Settings], Score] = {}
        self._memory: Memory | None = None
        self._mark: list[str] = []

    def resume(self, memory: Memory, codec: Codec[Any], start: Settings) -> Score:
        """Go on with what an earlier run has measured, and keep what this one measures.

        What it began with is measured again. If that is not as it was, the head, the images, the
        budget or the codec are others, and all is forgotten.

        Args:
            memory: of the earlier run.
            codec: what was measured first.
            start: its settings.

        Returns:
            What these are worth; also raises what `measure` does.
        """
        fresh = self.measure(codec, start)
        self._memory = memory
        key = self._key(codec, start)
        if known := memory.recall(key):
            score = _from_plain(known, start)
            if _alike(score, fresh):
                return score
        memory.forget()
        memory.keep(key, _plain(fresh))
        return fresh

    def remember(self, memory: Memory) -> None:
        """Go on with what an earlier run has measured of the same images, targets and budget, and
        keep what this one measures. That the head is the same must be known.
        """
        seen = hashlib.sha256(repr((self._targets, self.allowance, str(self.accounting))).encode())
        for image in self.images:
            seen.update(repr(image.shape).encode())
            seen.update(image.tobytes())
        self._memory, self._mark = memory, [seen.hexdigest()]

    def part(self, count: int) -> Objective:
        """The same over `count` of the images, evenly spread."""
        at = np.linspace(0, len(self.images) - 1, min(count, len(self.images))).astype(int)
        return self._of(at.tolist())

    def pieces(self, pixels: int) -> Iterator[Objective]:
        """The same over runs of the images, one after another, of about so many pixels at most."""
        first, held = 0, 0
        for place, image in enumerate(self.images):
            size = image.shape[0] * image.shape[1]
            if held and held + size > pixels:
                yield self._of(range(first, place))
                first, held = place, 0
            held += size
        yield self._of(range(first, len(self.images)))

    def counting(self, accounting: Accounting) -> Objective:
        """The same with other bytes that count; it remembers nothing of earlier runs."""
        made = self._of(range(len(self.images)))
        made.accounting, made._memory = accounting, None
        return made

    def _of(self, at: Sequence[int]) -> Objective:
        """The same over the images at some places."""
        made = object.__new__(Objective)
        made.__dict__.update(self.__dict__)
        made.images = [self.images[i] for i in at]
        made._targets = [self._targets[i] for i in at]
        made._known = {}
        if self._reference is not None:
            made._reference = self._reference.take(at)
        return made

    def judge(self, decoded: Batch, head: TaskHead | None = None) -> tuple[F64, F64]:
        """(losses, scores), each (n,), of what was decoded of the images: pixels or latents.

        Args:
            decoded: of all images.
            head: predicts; by default the objective's own, to which the aims belong.
        """
        prediction = (head or self.head).predict(decoded)
        if self._reference is None:
            losses = self.head.loss(prediction, self._targets)
        else:
            losses = self.head.divergence(prediction, self._reference)
        return losses, self.head.score(prediction, self._targets)

    def gradients(self, decoded: Sequence[Image]) -> list[FloatArray] | None:
        """How the losses change with the pixels of what was decoded; None if the head cannot say.

        See `codecframe.TaskHead.pixel_gradients`.
        """
        if isinstance(self._reference, Prediction):
            return self.head.pixel_gradients(decoded, self._reference.probabilities)
        seen = self.head.predict(decoded[:1])
        targets = np.asarray(self._targets) if isinstance(seen, Prediction) else np.empty(0)
        if targets.dtype.kind not in "iu" or targets.ndim != 1:
            return self.head.pixel_gradients(decoded, None)  # not a classification
        classes = seen.scores.shape[-1]
        return self.head.pixel_gradients(decoded, np.eye(classes, dtype=np.float32)[targets])

    def measure(self, codec: Codec[Any], settings: Settings) -> Score:
        """What `settings`, whatever their knob, are worth at the budget.

        Raises:
            BudgetError: if even the lowest level is over the budget.
            SettingsError: if the codec does not take the settings together.
        """
        key = self._key(codec, settings)
        found = self._remembered(key, lambda: _plain(self._at_budget(codec, settings)))
        return _from_plain(found, settings)

    def measure_at(self, codec: Codec[Any], settings: Settings) -> Score:
        """What `settings` are worth with their knob as it is, whatever the budget; encoded once."""
        key = codec.name, settings
        if key not in self._known:
            self._known[key] = self._encoded(codec, settings)
        return self._known[key]

    def measure_or_least(self, codec: Codec[Any], settings: Settings) -> Score:
        """As `measure`; settings that are over the budget at every level are measured at the
        lowest.
        """
        try:
            return self.measure(codec, settings)
        except BudgetError:
            return self.measure_at(codec, settings.at_level(0))

    def encode_us(self, codec: Codec[Any], settings: Settings, count: int) -> float:
        """Microseconds that an image takes to encode, over `count` of the images."""
        key = ["encode_us", count, *self._key(codec, settings)]
        images = self.part(count).images
        return float(self._remembered(key, lambda: self._timed(codec, settings, images)[1]))

    def times_as_long(
        self, codec: Codec[Any], settings: Settings, usual: Settings, count: int
    ) -> float:
        """How many times as long as `usual` settings take to encode, over `count` of the images.

        Both are used once before they are timed, and then by turns; the median counts.
        """
        images = self.part(count).images
        took: list[list[float]] = [
            [self._timed(codec, each, images)[1] for each in (settings, usual)]
            for _ in range(1 + _TURNS)
        ]
        return float(np.median([mine / max(theirs, 1e-9) for mine, theirs in took[1:]]))

    def _key(self, codec: Codec[Any], settings: Settings) -> list[Any]:
        return [*self._mark, len(self.images), codec.name, settings.to_dict()]

    def _remembered(self, key: Any, measure: Callable[[], Any]) -> Any:
        """What was measured in an earlier run, or else is now."""
        if self._memory is None:
            return measure()
        found = self._memory.recall(key)
        if found is None:
            found = measure()
            self._memory.keep(key, found)
        return found

    def _at_budget(self, codec: Codec[Any], settings: Settings) -> Score:
        """The score at the budget, between the two levels around it."""
        some = self.part(_SAMPLE).images
        level = fit_mean(codec, settings, some, self.budget, self.accounting).level
        low = self.measure_at(codec, settings.at_level(level))
        knob = settings.knob()
        while low.size > self.allowance and level:  # the sample was smaller than the rest
            level -= 1
            low = self.measure_at(codec, settings.at_level(level))
        if low.size > self.allowance:
            raise BudgetError(f"{codec.name}: {low.size:.0f} bytes, over {self.allowance:.0f}")
        if knob is None or level + 1 == knob.levels:
            return low
        high = self.measure_at(codec, settings.at_level(level + 1))
        return _between(low, high, self.allowance)

    def _encoded(self, codec: Codec[Any], settings: Settings) -> Score:
        datas, took = self._timed(codec, settings, self.images)
        sizes = [counted_size(codec, data, settings, self.accounting) for data in datas]
        losses, scores = self.judge(decode_for(codec, self.head, datas))
        return Score(settings, losses, scores, float(np.mean(sizes)), took)

    def _timed(
        self, codec: Codec[Any], settings: Settings, images: Sequence[Image]
    ) -> tuple[list[bytes], float]:
        """(encoded images, microseconds that each took)."""
        start = self._clock()
        datas = codec.encode_many(images, settings)
        return datas, (self._clock() - start) * 1e6 / len(datas)


def _between(low: Score, high: Score, size: float) -> Score:
    """The score at a size between those of two levels, by interpolation over log(size)."""
    span = np.log(max(high.size, low.size * (1 + 1e-9)) / low.size)
    share = float(np.clip(np.log(size / low.size) / span, 0, 1))
    return Score(
        low.settings,
        low.losses + share * (high.losses - low.losses),
        low.scores + share * (high.scores - low.scores),
        low.size,
        low.encode_us,
    )


def _plain(score: Score) -> list[Any]:
    """A score as plain data; of its settings the knob's level."""
    losses, scores = score.losses.tolist(), score.scores.tolist()
    return [score.settings.level, losses, scores, score.size, score.encode_us]


def _from_plain(values: list[Any], settings: Settings) -> Score:
    """The score of settings, whatever their knob, that `_plain` gave."""
    level, losses, scores, size, encode_us = values
    return Score(settings.at_level(level), np.array(losses), np.array(scores), size, encode_us)


def _alike(one: Score, other: Score) -> bool:
    """Whether two scores are those of the same encodings, judged alike."""
    return (
        one.settings == other.settings
        and one.losses.shape == other.losses.shape
        and np.allclose([one.size, *one.losses], [other.size, *other.losses])
    )
