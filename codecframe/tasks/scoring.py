"""What a set of images scores, with its interval, and what two sets differ by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from codecframe.core.statistics import interval_of, paired_difference, resampled, wilson
from codecframe.core.task import Task, Values


@dataclass(frozen=True, eq=False)
class SetScore:
    """The score of a set of images.

    Attributes:
        value: from 0 to 1; its 95 % interval is `low` to `high`.
        scores: of each image, (images,).
        of_sets: where the set is scored by records: what sets drawn from the images score, see
            `resampled`; None where the score is the mean of `scores`.
    """

    value: float
    low: float
    high: float
    scores: Values
    of_sets: Values | None = None

    def difference(self, other: SetScore) -> tuple[float, float, float]:
        """By how much it is higher than another of the same images: (gap, low, high), 95 %."""
        if self.of_sets is None or other.of_sets is None:
            return paired_difference(self.scores, other.scores)
        gap, low, high = interval_of(self.of_sets - other.of_sets)
        return gap, max(-1.0, low), min(1.0, high)


def set_score(task: Task, scores: Values, records: Sequence[Any] = ()) -> SetScore:
    """The score of a set: by the task's metric where it has records, else the mean.

    Intervals of means are Wilson's, those of other metrics are by bootstrap over the images.

    Args:
        task: what is scored.
        scores: of each image, (images,).
        records: of each image; none: the score is the mean, as that of agreement is.

    Raises:
        DataError: if a record is none of this task's.
    """
    if not task.has_records or not len(records):
        mean = float(scores.mean()) if len(scores) else 0.0
        return SetScore(mean, *wilson(mean, len(scores)), scores)
    of_sets = task.set_scores(records, _weights(len(records)))
    value, low, high = interval_of(of_sets)
    return SetScore(value, max(0.0, low), min(1.0, high), scores, of_sets)


@lru_cache(maxsize=2)
def _weights(n: int) -> Values:
    found = resampled(n)
    found.setflags(write=False)
    return np.asarray(found)
