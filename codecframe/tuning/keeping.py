"""Tuning for what must stay right: for which bytes, and which level then surely keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError
from codecframe.core.head import TaskHead
from codecframe.core.settings import Settings
from codecframe.evaluation.profile import Trial, TrialImages, Variant
from codecframe.rate import Accounting, Budget, Keep, counted_size
from codecframe.tuning.halves import Halves


@dataclass(frozen=True)
class Kept:
    """Settings at the level of the fewest bytes that keep enough.

    Attributes:
        settings: the knob included.
        bytes: mean bytes of a held-out image.
        kept: of the held-out images, as a share or score.
        sure: whether that shows that enough is kept of images like these.
    """

    settings: Settings
    bytes: float
    kept: float
    sure: bool


class Keeping:
    """Looks for levels on the images that tune, and tests them on those held out.

    Args:
        keep: what must stay right.
        head: judges.
        split: the images.
        accounting: which bytes count.
        answers: how many settings could be the answer at most. They share the error that is
            allowed, because the held-out images choose among them.

    Raises:
        BudgetError: if the held-out images are too few.
    """

    def __init__(
        self, keep: Keep, head: TaskHead, split: Halves, accounting: Accounting, answers: int
    ) -> None:
        self._keep, self._accounting = keep, accounting
        self._error = keep.error / answers
        self._tuning, self._held = (
            TrialImages(head, half.images, half.targets) for half in (split.tuning, split.held)
        )
        needed, images = keep.images_needed(self._error), len(split.held.images)
        if needed > images:
            raise BudgetError(
                f"{images} held-out images are too few to be {100 * keep.confidence:g} % sure of "
                f"{keep.text}: at least {needed} are needed"
            )

    def budget(self, codec: Codec[Any], settings: Settings) -> Budget:
        """The mean bytes at which settings keep enough, which better ones are tuned for.

        Raises:
            BudgetError: if they do not at any level.
        """
        best = self._trial(codec, settings).best()
        if not best.enough:
            raise BudgetError(
                f"{codec.name} keeps {100 * best.kept:.1f} % at most on the images that tune: too "
                f"little to be sure of {self._keep.text}"
            )
        return Budget(round(best.bytes, 1), "bytes", "mean")

    def best(self, codec: Codec[Any], settings: Settings) -> Kept:
        """The level that surely keeps enough, or else the safest one."""
        trial = self._trial(codec, settings)
        answer: Kept | None = None
        for point in trial.points(trial.best().bytes):
            tested = self._tested(codec, codec.settings_type.from_dict(dict(point.settings)))
            if not tested.sure:
                return answer or tested
            answer = tested
        assert answer is not None  # noqa: S101 - there are points
        return answer

    def _trial(self, codec: Codec[Any], settings: Settings) -> Trial:
        deciding = len(self._held.images)
        variant = Variant(codec, settings)
        return Trial(variant, self._tuning, self._keep, self._accounting, deciding, self._error)

    def _tested(self, codec: Codec[Any], settings: Settings) -> Kept:
        datas = codec.encode_many(self._held.images, settings)
        outcomes = self._held.outcomes(codec, datas)
        size = sum(counted_size(codec, data, settings, self._accounting) for data in datas)
        sure = self._keep.p_value(outcomes) <= self._error
        return Kept(settings, size / len(datas), self._keep.kept(outcomes), sure)
