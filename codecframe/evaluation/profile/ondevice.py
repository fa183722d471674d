"""What heads on the device answer by themselves: measured once for all codecs.

What a cascade costs and scores follows image by image: an image of which the head on the device is
sure costs its answer, and scores what that head scores; the others are those of a point.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import DataError
from codecframe.evaluation.database import Database, written
from codecframe.rate import Outcomes

FloatArray = npt.NDArray[np.float64]

SHOWN = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Confidences at which a profile's table says what travels."""
_CREATE = (
    "CREATE TABLE IF NOT EXISTS device_answers (head TEXT NOT NULL, image INTEGER NOT NULL, "
    "confidence REAL NOT NULL, bytes INTEGER NOT NULL, score REAL, agreement REAL, record TEXT, "
    "us REAL, PRIMARY KEY (head, image)) WITHOUT ROWID"
)
_ADD = "INSERT OR REPLACE INTO device_answers VALUES (?,?,?,?,?,?,?,?)"
_COLUMNS = "image, confidence, bytes, score, agreement, us"


@dataclass(frozen=True)
class DeviceAnswer:
    """What a head on the device says of an image; the fields are the table's columns, see
    `DeviceAnswers` and `Measurement`.
    """

    image: int
    confidence: float
    bytes: int
    score: float | None
    agreement: float | None
    record: Any
    us: float


@dataclass(frozen=True)
class DeviceAnswers:
    """What a head on the device says of images.

    Attributes:
        head: its name.
        image: positions, rising, `int64`.
        confidence: how sure it is, 0 to 1, `float64`.
        size: bytes of its answer.
        score: against the labels, or agreement where there are none; 0 to 1.
        outcomes: what a promise is measured by.
        record: what the task's metric needs of each image, where it scores sets by records; else
            empty.
        us: microseconds that it took for an image on the machine that measured, the median.
    """

    head: str
    image: npt.NDArray[np.int64]
    confidence: FloatArray
    size: FloatArray
    score: FloatArray
    outcomes: Outcomes
    record: npt.NDArray[np.object_]
    us: float

    def of(self, images: npt.NDArray[np.int64]) -> DeviceAnswers:
        """Those of some images."""
        kept = np.isin(self.image, images)
        return replace(
            self,
            image=self.image[kept],
            confidence=self.confidence[kept],
            size=self.size[kept],
            score=self.score[kept],
            outcomes=self.outcomes[kept],
            record=self.record[kept] if len(self.record) else self.record,
        )

    def rows(self) -> list[dict[str, Any]]:
        """For some confidences: the share of the images that travels if it answers from there on,
        and what its answers score. Plain data.
        """
        found = []
        for sure in SHOWN:
            here = self.confidence >= sure
            score = float(self.score[here].mean()) if here.any() else None
            found.append(
                {"head": self.head, "sure": sure, "travels": float((~here).mean()), "score": score}
            )
        return found


@dataclass(frozen=True)
class DeviceTable:
    """The table of such answers in a profile's file.

    Attributes:
        file: the profile.
        labelled: whether its images have labels.
    """

    file: Database
    labelled: bool

    def add(self, head: str, answers: Iterable[DeviceAnswer]) -> None:
        """Add a batch of answers, all or none."""
        rows = [(head, *{**vars(one), "record": written(one.record)}.values()) for one in answers]
        with self.file.writing() as db:
            db.execute(_CREATE)
            db.executemany(_ADD, rows)

    @property
    def heads(self) -> list[str]:
        """The heads that were measured."""
        if not self.file.has("device_answers"):
            return []
        return [str(head) for (head,) in self.file.all("SELECT DISTINCT head FROM device_answers")]

    def done(self, head: str, first: int, last: int) -> set[int]:
        """Images from `first` to before `last` that a head has answered."""
        if not self.file.has("device_answers"):
            return set()
        query = "SELECT image FROM device_answers WHERE head = ? AND image >= ? AND image < ?"
        return {row[0] for row in self.file.all(query, head, first, last)}

    def answers(self, head: str) -> DeviceAnswers:
        """What a head says of all images that it has answered.

        Raises:
            DataError: if the table holds what it cannot.
        """
        query = f"SELECT {_COLUMNS} FROM device_answers WHERE head = ? ORDER BY image"  # noqa: S608
        try:
            rows = np.array(self.file.all(query, head), np.float64).reshape(-1, 6)
        except (ValueError, TypeError):
            raise self._damaged("a number") from None
        image, confidence, size, score, agreement, us = rows.T
        shares = np.concatenate([confidence, score, agreement])
        if ((shares < 0) | (shares > 1)).any() or not np.isfinite(confidence).all():
            raise self._damaged("a confidence or score")
        if not ((size >= 0) & (size < 1 << 32)).all() or not (image >= 0).all():
            raise self._damaged("a size")
        parts = (None if np.isnan(part).any() else part for part in (agreement, score))
        return DeviceAnswers(
            head, image.astype(np.int64), confidence, size,
            score if self.labelled else agreement, Outcomes(*parts), self._records(head),
            float(np.nanmedian(us)) if np.isfinite(us).any() else 0.0,
        )  # fmt: skip

    def _records(self, head: str) -> npt.NDArray[np.object_]:
        query = "SELECT record FROM device_answers WHERE head = ? ORDER BY image"
        found = self.file.records(query, head)
        return found if any(one is not None for one in found) else found[:0]

    def _damaged(self, what: str) -> DataError:
        return DataError(
            str(self.file.path), f"is damaged: answers on the device have {what} amiss"
        )
