"""The server's audit of a link: what compression costs, from frames that also came uncompressed.

A camera sends a random share of its frames twice: as always, and without loss. The server compares
what the head makes of both. The mean over the last frames is the running estimate. Whether it left
what was promised is a running test, which may be looked at after every frame.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from codecframe import RunningTest, TaskHead, TaskPrediction, mean_interval
from codecframe_serving import logs

Seen = TaskPrediction | int
"""What is seen in a frame as it came: by the head, or the class that the camera's own head saw."""

WINDOW = 1000
"""Audited frames that the running estimate is over."""
_PAIRS = 64
"""Predictions of a stream that wait for their counterpart, at most."""
_ERROR = 0.05
"""The chance that there is ever a warning though what was promised is kept."""


class Audit:
    """What compression costs on the links of one server.

    Args:
        head: the head, which says whether two predictions agree.
    """

    def __init__(self, head: TaskHead) -> None:
        self._head = head
        self._values: deque[float] = deque(maxlen=WINDOW)
        self._tests: dict[float, RunningTest] = {}
        self._warned: set[float] = set()
        self.frames = 0

    def compare(self, seen: Seen, lossless: TaskPrediction, promised: float | None) -> None:
        """Take in one audited frame.

        Args:
            seen: of the frame as it came, one image; of one that the camera answered by itself, the
                class.
            lossless: of the same without loss.
            promised: the share of such pairs that agree, at least; None where nothing is.
        """
        (target,) = self._head.pseudo_targets(lossless)
        if isinstance(seen, int):
            self.add(float(seen == target), promised)
        else:
            self.add(float(self._head.score(seen, [target])[0]), promised)

    def add(self, agreement: float, promised: float | None) -> None:
        """Take in how far one audited frame agrees, from 0 to 1."""
        self.frames += 1
        self._values.append(agreement)
        if promised is None:
            return
        if promised not in self._tests and len(self._tests) >= _PAIRS:
            return  # strangers choose what they promise
        test = self._tests.setdefault(promised, RunningTest(promised, above=False, restarts=True))
        test.add([agreement])
        if test.p_value <= _ERROR and promised not in self._warned:
            self._warned.add(promised)
            logs.event(
                logging.WARNING,
                "compression costs more than was promised",
                promised=f"{100 * promised:g} %",
                audited=self.frames,
                estimate=f"{100 * self.estimate:.1f} %",
            )

    @property
    def estimate(self) -> float:
        """The share of the last audited frames that agree; 1 before the first."""
        return float(np.mean(self._values)) if self._values else 1.0

    @property
    def has_drifted(self) -> bool:
        """Whether less agrees than was promised, for sure."""
        return bool(self._warned)

    def state(self) -> dict[str, Any] | None:
        """The estimate as plain data; None before the first audited frame."""
        if not self._values:
            return None
        low, high = mean_interval(np.array(self._values))
        return {
            "frames": self.frames,
            "window": len(self._values),
            "estimate": self.estimate,
            "low": low,
            "high": high,
            "promised": min(self._tests, default=None),
            "drift": self.has_drifted,
        }


class Pairs:
    """Finds the two predictions of a frame that a stream sent twice, in whatever order they come.

    The frame without loss has the number after that of the frame itself.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[int, Seen] = OrderedDict()
        self._lossless: OrderedDict[int, TaskPrediction] = OrderedDict()

    def add(self, sequence: int, seen: Seen) -> tuple[Seen, TaskPrediction] | None:
        """Take in what is seen in a frame as it came; the pair where it is complete."""
        if (lossless := self._lossless.pop(sequence, None)) is not None:
            return seen, lossless
        _keep(self._seen, sequence, seen)
        return None

    def add_lossless(
        self, sequence: int, prediction: TaskPrediction
    ) -> tuple[Seen, TaskPrediction] | None:
        """Take in the prediction of a frame without loss; the pair where it is complete."""
        if (seen := self._seen.pop(sequence - 1, None)) is not None:
            return seen, prediction
        _keep(self._lossless, sequence - 1, prediction)
        return None


def _keep(waiting: OrderedDict[int, Any], number: int, one: Any) -> None:
    waiting[number] = one
    while len(waiting) > _PAIRS:
        waiting.popitem(last=False)


def lossless_codec(names: Sequence[str]) -> str | None:
    """The codec that carries frames without loss, of those that a server takes; None if none."""
    return next((name for name in ("webp-lossless", "png") if name in names), None)
