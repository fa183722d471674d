from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from toys import BrightnessHead, ToyCodec, ToySettings, items, toy_registry

from codecframe import UnknownNameError
from codecframe.profile import Plan, ProfileTable, profile_images
from codecframe.rate import Accounting, Budget
from codecframe.select import select, select_on_images

HEAD = BrightnessHead()
LEVELS = [20, 80, 140, 200, 240]


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    with toy_registry():
        yield


@pytest.fixture
def table(tmp_path: Path, toys: None) -> Iterator[ProfileTable]:
    plan = Plan(codecs=["toy", "bland"], levels=LEVELS)
    with profile_images(tmp_path / "p", items(40, labelled=True), HEAD, plan) as found:
        yield found


@pytest.mark.parametrize("mode", ["cap", "mean"])
@pytest.mark.parametrize("accounting", list(Accounting))
def test_the_winner_meets_the_budget_and_beats_the_rest(
    table: ProfileTable, mode: str, accounting: Accounting
) -> None:
    found = select(table, Budget(1500, "bytes", mode), accounting)  # type: ignore[arg-type]
    assert found.winner is not None and found.winner.codec == "toy"
    assert found.winner.bytes_per_image <= 1500
    assert found.images == 40
    for other in found.others:
        assert other.why
        if other.fits:
            assert (
                other.gap is not None and other.gap_low is not None and other.gap_high is not None
            )
            assert other.gap_low <= other.gap <= other.gap_high
            assert other.score <= found.winner.score


def test_a_larger_budget_is_never_worse(table: ProfileTable) -> None:
    scores = []
    for limit in (700, 1000, 1500, 2500, 5000):
        found = select(table, Budget(limit, "bytes"))
        scores.append(found.winner.score if found.winner else 0.0)
    assert scores == sorted(scores)


def test_a_cap_takes_the_largest_measured_level_that_fits_each_image(table: ProfileTable) -> None:
    limit = 1500
    found = select(table, Budget(limit, "bytes"), Accounting.FILE, ["toy"])
    codec, total = ToyCodec(), 0
    for item in items(40):
        sizes = [len(codec.encode(item.image, ToySettings(strength=s))) for s in LEVELS]
        total += max(size for size in sizes if size <= limit)
    assert found.winner is not None
    assert found.winner.bytes_per_image == pytest.approx(total / 40)
    assert ".." in found.winner.knob


def test_when_nothing_fits_it_says_what_would(table: ProfileTable) -> None:
    found = select(table, Budget(3, "bytes"))
    assert found.winner is None
    assert found.would_fit is not None and found.would_fit.startswith("bland needs ")
    needed = Budget.parse(found.would_fit.removeprefix("bland needs "))
    assert select(table, needed).winner is not None
    assert select(table, replace(needed, amount=needed.amount - 1)).winner is None
    assert all(not candidate.fits and candidate.why for candidate in found.others)


def test_unknown_codec_in_profile(table: ProfileTable) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'bland'"):
        select(table, Budget(900, "bytes"), codecs=["blnd"])


@pytest.mark.parametrize("budget", ["4bpp", "1200B", "48kbit/s@5fps"])
@pytest.mark.parametrize("mode", ["cap", "mean"])
def test_profile_and_select_in_one_go(tmp_path: Path, budget: str, mode: str) -> None:
    asked = Budget.parse(budget, mode=mode)  # type: ignore[arg-type]
    images = items(30, labelled=True)
    found = select_on_images(tmp_path / "p", images, HEAD, asked, codecs=["toy", "bland"])
    assert found.winner is not None and found.winner.codec == "toy"
    allowed = asked.allowance((48, 40))
    slack = 1 + 1 / 5 if asked.mode == "link" else 1  # a link's buffer starts empty
    assert 0.85 * allowed <= found.winner.bytes_per_image <= allowed * slack
    again = select_on_images(tmp_path / "p", images, HEAD, asked, codecs=["toy", "bland"])
    assert again == found
