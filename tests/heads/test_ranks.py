"""What profiles ask of every head: ranks of targets, and what is compared with whom."""

from __future__ import annotations

import numpy as np
import pytest
from toys import BrightnessHead

import codecframe
from codecframe.core.statistics import mcnemar


def test_ranks_count_what_is_preferred_to_the_target() -> None:
    scores = np.array([[3, 2, 1, 0], [0, 1, 2, 3]], np.float32)
    ranks = BrightnessHead().ranks(codecframe.Prediction(scores), [0, 1])
    assert ranks is not None and ranks.tolist() == [0, 2]


def test_no_classes_no_ranks() -> None:
    head = BrightnessHead()
    maps = codecframe.Prediction(np.zeros((2, 4, 4), np.float32))
    assert head.ranks(maps, [0, 1]) is None
    assert head.ranks(codecframe.Prediction(np.zeros((1, 4), np.float32)), ["cat"]) is None


def test_mcnemar_is_a_fair_coins() -> None:
    hits = np.array([1.0] * 8 + [0.0] * 2)
    assert mcnemar(hits, hits) == 1
    # 6 better, none worse: 2 / 2^6
    assert mcnemar(hits, np.array([1.0, 1.0] + [0.0] * 8)) == pytest.approx(2 / 64)
    # as often better as worse
    assert mcnemar(hits[:4], np.array([1.0, 1.0, 1.0, 1.0])) == 1
    assert mcnemar(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1
