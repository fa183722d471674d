"""What `select` answers from profiles whose measurements are written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from toys import BrightnessHead, items, toy_registry

from codecframe import DataError
from codecframe.evaluation.profile import (
    Measurement,
    Plan,
    Point,
    ProfileTable,
    coverage,
    profile_images,
)
from codecframe.evaluation.profile.table import MeasuredImage
from codecframe.evaluation.report import make_report
from codecframe.evaluation.select import RATE_TOLERANCE, Selection, select
from codecframe.rate import Accounting, Budget

N = 150
PIXELS = 100 * 80
BUDGET = Budget(0.4, "bpp", "mean")
ALLOWED = 0.4 * PIXELS / 8


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    with toy_registry():
        yield


def hits(right: int, n: int = N, *, first: int = 0) -> list[float]:
    """`right` of `n` images are right, from `first` on."""
    return [float((i - first) % n < right) for i in range(n)]


def written(
    path: Path,
    points: Mapping[tuple[str, int], tuple[float, Sequence[float], float]],
    *,
    images: int = N,
) -> ProfileTable:
    """A profile; for every (codec, strength): bytes an image, scores and microseconds an image."""
    meta = {"head": "brightness", "metric": "top-1", "labelled": True, "images": images,
            "first_image": "0.png"}  # fmt: skip
    table = ProfileTable.create(path, meta)
    table.add_images(MeasuredImage(i, f"{i}.png", (100, 80), target=0) for i in range(images))
    for (codec, strength), (size, scores, took) in points.items():
        number = table.add_point(Point(codec, {"strength": strength, "effort": 6}))
        table.add(number, [
            Measurement(i, strength - 1, int(size) + 9, int(size), score, None, None, None, took,
                        took, 1)
            for i, score in enumerate(scores)
        ])  # fmt: skip
    return table


def why(found: Selection) -> dict[str, str]:
    return {one.codec: one.why for one in found.candidates}


def test_the_point_just_above_the_budget_is_named_with_what_it_would_give(tmp_path: Path) -> None:
    points = {
        ("toy", 3): (0.2 * PIXELS / 8, hits(30), 50.0),
        ("toy", 40): (0.407 * PIXELS / 8, hits(127), 50.0),
        ("toy", 90): (0.8 * PIXELS / 8, hits(140), 50.0),
        ("bland", 40): (0.4 * PIXELS / 8, hits(100), 50.0),
    }
    with written(tmp_path / "p", points) as table:
        found = select(table, BUDGET)
    assert found.winner is not None and found.winner.codec == "bland"
    (other,) = found.others
    assert other.above is not None
    assert other.above.knob == "strength=40"
    assert other.above.over == pytest.approx(0.0175)
    assert other.above.score == pytest.approx(127 / 150)
    assert "0.407 bpp, 1.8 % over: 84.7 %" in other.why
    assert any("toy strength=40 is just above the budget" in note for note in found.notes)


@pytest.mark.parametrize("gap", ["large", "none"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.94, 0.96, 1.0])
def test_scores_at_different_rates_are_never_called_sure(
    tmp_path: Path, share: float, gap: str
) -> None:
    right = 20 if gap == "large" else 118
    points = {
        ("bland", 40): (ALLOWED, hits(120), 50.0),
        ("toy", 40): (share * ALLOWED, hits(right, first=5), 50.0),
    }
    with written(tmp_path / "p", points) as table:
        reason = why(select(table, BUDGET))["toy"]
    same_rate = 1 - share <= RATE_TOLERANCE
    assert ("not at the same rate" in reason) == (not same_rate)
    assert ("sure" in reason) == (same_rate and gap == "large")
    if not same_rate:
        assert "points less" not in reason and "fewer bytes" in reason


@pytest.mark.parametrize(
    ("slow", "quick", "images", "chosen"),
    [
        # (right, first image that is right, bytes, microseconds)
        pytest.param((100, 0, 900, 800.0), (100, 0, 971, 100.0), N, "toy", id="equal scores"),
        pytest.param((102, 0, 990, 800.0), (100, 0, 950, 100.0), N, "bland", id="surely better"),
        pytest.param((102, 20, 990, 800.0), (100, 0, 990, 100.0), N, "toy", id="within noise"),
        pytest.param((110, 40, 990, 800.0), (100, 0, 990, 100.0), N, "bland", id="far apart"),
        pytest.param((102, 20, 990, 190.0), (100, 0, 990, 100.0), N, "bland", id="not 2x"),
        pytest.param((102, 20, 990, 800.0), (100, 0, 990, 0.0), N, "bland", id="time unknown"),
        pytest.param((3, 1, 990, 800.0), (2, 0, 990, 100.0), 4, "bland", id="few images"),
        pytest.param((3, 0, 990, 800.0), (3, 0, 990, 100.0), 4, "toy", id="few and equal"),
    ],
)
def test_within_the_noise_the_quicker_encoder_wins(
    tmp_path: Path,
    slow: tuple[int, int, int, float],
    quick: tuple[int, int, int, float],
    images: int,
    chosen: str,
) -> None:
    points = {}
    for codec, (right, first, size, took) in (("bland", slow), ("toy", quick)):
        points[codec, 40] = (size, hits(right, images, first=first), took)
    if images == N and chosen == "bland" and slow[1] == quick[1]:  # the same images, and ten more
        points["bland", 40] = (slow[2], hits(110, images), slow[3])
    with written(tmp_path / "p", points, images=images) as table:
        found = select(table, Budget(1000, "bytes", "mean"))
        assert found == select(table, Budget(1000, "bytes", "mean"))
    assert found.winner is not None and found.winner.codec == chosen
    if chosen == "toy":
        assert "8.0 times as quick to encode" in found.winner.why
        assert "8.0 times the encode time" in found.others[0].why


def test_times_are_medians(tmp_path: Path) -> None:
    with written(tmp_path / "p", {("toy", 40): (900, hits(100), 100.0)}) as table:
        (number,) = table.points()
        slow = [
            Measurement(i, 39, 909, 900, 1.0, None, None, None, 1e6, None, 1) for i in range(50)
        ]
        table.add(number, slow)
        (row,) = table.rows()
        assert (row.encode_us, row.decode_us) == (100.0, 100.0)
        table.add(table.add_point(Point("toy", {"strength": 9})), slow[:2])
        assert {row.decode_us for row in table.rows()} == {100.0, 0.0}


STOPPED = {
    "a point has nothing": ({("toy", 80): 0}, 150, 2, "1 of toy"),
    "a point has little": ({("toy", 80): 20}, 150, 2, "1 of toy"),
    "all stopped at 119": (
        {("toy", 40): 119, ("toy", 80): 0, ("bland", 40): 119}, 119, 2, "1 of toy",
    ),
    "some have more": ({("toy", 80): 119, ("bland", 40): 119}, 119, 3, ""),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["cap", "mean"])
@pytest.mark.parametrize("budget", [2000, 1000, 100])
@pytest.mark.parametrize("name", STOPPED)
def test_a_profile_that_was_stopped_is_asked_on_common_images(
    tmp_path: Path, name: str, budget: int, mode: Literal["cap", "mean"]
) -> None:
    stopped, images, kept, missing = STOPPED[name]
    # the images that some points miss are those on which the others do badly
    points = {
        ("toy", 40): (900, hits(119), 50.0),
        ("toy", 80): (1900, hits(119), 50.0),
        ("bland", 40): (500, hits(110), 50.0),
    }
    cut = {
        key: (size, scores[: stopped.get(key, N)], took)
        for key, (size, scores, took) in points.items()
    }
    with written(tmp_path / "p", cut) as table:
        covered = coverage([table])
        found = select(table, Budget(budget, "bytes", mode))
    assert len(covered.images) == images
    assert sum(map(len, covered.kept)) == kept
    assert not covered.whole
    assert found.images == images
    (note,) = [note for note in found.notes if "not complete" in note]
    assert f"{kept} of 3 points" in note and f"{images} of 150 images" in note
    assert missing in note and "goes on" in note
    for one in found.candidates:
        assert np.isfinite([one.score, one.bytes_per_image, one.bpp]).all()
        assert one.score > 0.5
    assert (found.winner is None) == (budget == 100)


def test_a_report_of_a_profile_that_was_stopped_says_so(tmp_path: Path) -> None:
    points = {("toy", 40): (900.0, hits(119), 50.0), ("toy", 80): (1900.0, hits(119)[:119], 50.0)}
    with written(tmp_path / "p", points) as table:
        page = make_report(table, select(table, BUDGET)).html
    assert page.count("2 of 2 points are measured, on 119 of 150 images") == 1


def test_a_whole_profile_says_nothing_of_what_is_missing(tmp_path: Path) -> None:
    plan = Plan(codecs=["toy"], levels=[50])
    with profile_images(tmp_path / "p", items(8), BrightnessHead(), plan) as table:
        assert coverage([table]).words() == ""
        assert select(table, Budget(5000, "bytes"), Accounting.FILE).left_out == ()


@pytest.mark.parametrize("stage", ["created", "points", "images"])
def test_a_profile_without_measurements_is_a_clean_error(tmp_path: Path, stage: str) -> None:
    points: dict[tuple[str, int], tuple[float, Sequence[float], float]] = {}
    if stage != "created":
        points = {("toy", 40): (900, [], 50.0), ("bland", 40): (900, [], 50.0)}
    with written(tmp_path / "p", points, images=5 if stage == "images" else 0) as table:
        for ask in (lambda: select(table, BUDGET), lambda: make_report(table).html):
            with pytest.raises(DataError, match=r"no measurements yet; .* goes on"):
                ask()
