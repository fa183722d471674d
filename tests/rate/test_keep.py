"""What must stay right, and the claims that it does: valid however few the images are."""

from __future__ import annotations

import numpy as np
import pytest

from codecframe import BudgetError, Keep, MismatchError, UsageError
from codecframe.core import guarantees
from codecframe.rate import Outcomes

DRAWS = 1000
BROKEN = 69
"""Of 1,000 promises that break with a chance of 5 %, more break with a chance of 0.4 %."""


@pytest.mark.parametrize(
    ("text", "of", "least"),
    [
        ("98%", "predictions", 0.98),
        ("98.5 %", "predictions", 0.985),
        ("95%-of-score", "relative score", 0.95),
        ("95% of score", "relative score", 0.95),
        ("score=0.85", "score", 0.85),
    ],
)
def test_what_must_stay_right(text: str, of: str, least: float) -> None:
    keep = Keep(text)
    assert (keep.of, keep.least, str(keep)) == (of, pytest.approx(least), text)


@pytest.mark.parametrize("text", ["", "98", "0%", "100%", "120%", "score=2", "0.4bpp", "98%-of-x"])
def test_what_cannot_be_kept(text: str) -> None:
    with pytest.raises(BudgetError):
        Keep(text)


def test_options_that_exclude_each_other() -> None:
    assert Keep.asked("98%", confidence=0.9) == Keep("98%", 0.9)
    assert Keep.asked(score=0.85) == Keep("score=0.85")
    assert Keep.asked() is None
    with pytest.raises(UsageError):
        Keep.asked("98%", 0.85)
    with pytest.raises(BudgetError, match="confidence"):
        Keep("98%", 1.0)


def test_a_claim_about_scores_needs_labels() -> None:
    blind = Outcomes(np.ones(10))
    with pytest.raises(MismatchError, match="labels"):
        Keep("score=0.5").kept(blind)
    with pytest.raises(MismatchError, match="uncompressed"):
        Keep("95%-of-score").kept(Outcomes(None, np.ones(10)))


def _pairs(rng: np.random.Generator, n: int, kept: float) -> Outcomes:
    """Scores before and after a codec that keeps such a share of the score, and of predictions."""
    before = (rng.random(n) < 0.8).astype(float)
    agreement = (rng.random(n) < kept).astype(float)
    return Outcomes(agreement, before * (rng.random(n) < kept), before)


@pytest.mark.parametrize("text", ["95%", "95%-of-score", "score=0.76"])
def test_no_more_promises_are_broken_than_was_said(text: str) -> None:
    """Calibrated on a known rate just below what is promised, by the cheapest of three levels."""
    rng, keep = np.random.default_rng(7), Keep(text)
    broken = 0
    for _ in range(DRAWS):
        levels = [_pairs(rng, 200, kept) for kept in (0.99, 0.97, 0.9499)]
        sure = guarantees.sequence((keep.p_value(each) for each in levels), keep.error)
        broken += sure == 3
    assert broken <= BROKEN


def test_promises_that_are_easy_to_keep_are_made() -> None:
    rng = np.random.default_rng(1)
    made = [Keep("95%-of-score").p_value(_pairs(rng, 800, 0.99)) <= 0.05 for _ in range(40)]
    assert sum(made) >= 38
    made = [Keep("95%").p_value(_pairs(rng, 400, 0.99)) <= 0.05 for _ in range(40)]
    assert sum(made) >= 38


def test_a_bound_is_broken_as_rarely_as_it_says() -> None:
    rng = np.random.default_rng(3)
    above = sum(
        guarantees.mean_interval((rng.random(60) < 0.9).astype(float), 0.1)[0] > 0.9
        for _ in range(300)
    )
    assert above <= 0.05 * 300 + 11


@pytest.mark.parametrize("text", ["98%", "score=0.9", "95%-of-score"])
def test_as_many_images_as_are_needed_do(text: str) -> None:
    keep = Keep(text)
    needed = keep.images_needed()

    def p_value(n: int) -> float:
        return keep.p_value(Outcomes(np.ones(n), np.ones(n), np.ones(n)))

    assert p_value(needed) <= keep.error
    assert p_value(needed // 2) > keep.error
    if keep.of != "relative score":
        assert p_value(needed - 1) > keep.error


def test_the_binomial_tail_is_exact() -> None:
    assert guarantees.binomial_tail(1, 3, 0.5) == pytest.approx(0.5)
    assert guarantees.binomial_tail(0, 10, 0.1) == pytest.approx(0.9**10)
    assert guarantees.binomial_tail(10, 10, 0.3) == 1.0


def test_a_running_test_may_be_looked_at_after_every_value() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(300):
        test = guarantees.RunningTest(0.02, above=True, restarts=True)
        test.add((rng.random(400) < 0.02).astype(float))
        alarms += test.p_value <= 0.05
    assert alarms <= 0.05 * 300 + 13


def test_a_running_test_finds_a_late_change() -> None:
    rng = np.random.default_rng(5)
    test = guarantees.RunningTest(0.02, above=True, restarts=True)
    test.add((rng.random(2000) < 0.01).astype(float))
    assert test.p_value > 0.05
    test.add((rng.random(100) < 0.3).astype(float))
    assert test.p_value < 0.01
