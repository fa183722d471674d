"""Comparisons of measured points, against curves whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from codecframe.evaluation.comparison import Curve, at_no_more_bits, beside_defaults, defaults_of

RATES = (0.2, 0.4, 0.8)


def curve(bpp: tuple[float, ...], shares: tuple[float, ...], *, words: str = "") -> Curve:
    """Scores of 1,000 images, of which the first so many per cent are right at each point."""
    right = np.linspace(0, 1, 1000, endpoint=False)
    scores: npt.NDArray[np.float64] = (right < np.array(shares)[:, None]).astype(float)
    return Curve("jpeg", "head", words, np.array(bpp), scores)


DEFAULTS = curve(RATES, (0.3, 0.5, 0.7))


def test_half_of_the_bits_for_the_same_score() -> None:
    tuned = curve((0.2,), (0.5,), words="tuned")
    others = replace(tuned, scores=np.roll(tuned.scores, 137, axis=1))  # right on other images
    found = beside_defaults(others, DEFAULTS)[0]
    saved, low, high = found["saved"]
    assert saved == pytest.approx(0.5, abs=1e-4)
    assert 0.4 < low < saved < high < 0.6
    more, low, high = found["more"]
    assert more == pytest.approx(0.2) and low < more < high


def test_between_points_curves_are_straight_over_log_bits() -> None:
    found = beside_defaults(curve((np.sqrt(0.2 * 0.4),), (0.4,), words="same"), DEFAULTS)[0]
    assert found["saved"][0] == pytest.approx(0, abs=1e-4)
    assert found["more"][0] == pytest.approx(0, abs=1e-4)


def test_nothing_is_said_beyond_what_was_measured() -> None:
    assert beside_defaults(curve((0.1,), (0.4,)), DEFAULTS)[0]["more"] is None
    assert beside_defaults(curve((0.9,), (0.4,)), DEFAULTS)[0]["more"] is None
    assert beside_defaults(curve((0.3,), (0.75,)), DEFAULTS)[0]["saved"] is None
    assert beside_defaults(curve((0.3,), (0.2,)), DEFAULTS)[0]["saved"] is None
    # resamples that leave the curve are taken for its end
    saved, _, high = beside_defaults(curve((0.1,), (0.7,)), DEFAULTS)[0]["saved"]
    assert saved == pytest.approx(high) == pytest.approx(1 - 0.1 / 0.8)


def test_of_another_codec_the_largest_point_of_no_more_bits_counts() -> None:
    found = at_no_more_bits(curve((0.5,), (0.4,)), DEFAULTS, 0)
    assert found is not None
    assert (found["bpp"], found["more"]) == (0.4, pytest.approx(0.1))
    assert found["low"] < 0.1 < found["high"] and found["p"] < 1e-20
    assert at_no_more_bits(curve((0.1,), (0.4,)), DEFAULTS, 0) is None


def test_defaults_are_those_of_the_codec_in_front_of_the_head() -> None:
    tuned = curve(RATES, (0.4, 0.6, 0.8), words="preset=x")
    other = Curve("jpeg", "another", "", DEFAULTS.bpp, DEFAULTS.scores)
    assert defaults_of(tuned, [tuned, other]) is None
    assert defaults_of(tuned, [tuned, other, DEFAULTS]) is DEFAULTS
    assert defaults_of(DEFAULTS, [DEFAULTS]) is None
    assert defaults_of(tuned, [tuned, other, DEFAULTS], "other head") is None
    retrained = replace(tuned, head="retrained")
    assert defaults_of(retrained, [tuned, DEFAULTS, retrained]) is None
    assert defaults_of(retrained, [tuned, DEFAULTS, retrained], tuned.head) is DEFAULTS
