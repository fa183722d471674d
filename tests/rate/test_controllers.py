from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import ToyCodec, ToySettings, picture

from codecframe import BudgetError, Fit, Image
from codecframe.rate import (
    Accounting,
    Budget,
    MeanSearch,
    StreamController,
    controller,
    counted_size,
    fit,
    fit_mean,
)

CODEC = ToyCodec()
IMAGES = [picture(seed) for seed in range(80)]
PIXELS = 48 * 40


@given(st.integers(0, 10_000), st.integers(30, 8_000), st.sampled_from(list(Accounting)))
@settings(max_examples=60, deadline=None)
def test_a_fit_is_never_over_and_its_size_is_true(
    seed: int, limit: int, accounting: Accounting
) -> None:
    image = picture(seed)
    try:
        found, sizes = fit(CODEC, image, ToySettings(), limit, accounting)
    except BudgetError as error:
        assert error.smallest is not None and error.smallest > limit == error.asked
        return
    true_size = counted_size(CODEC, found.data, found.settings, accounting, knob_varies=True)
    assert found.size == true_size <= limit
    assert found.encodes == len(sizes)


def test_a_cap_is_used_well_with_few_encodes() -> None:
    budget = Budget.parse("4bpp")
    found = list(controller(CODEC, ToySettings(), budget).encode_many(IMAGES))
    fits = [item for item in found if isinstance(item, Fit)]
    shares = [item.size / budget.bytes_for((48, 40)) for item in fits]
    assert len(fits) == len(IMAGES)
    assert max(shares) <= 1
    assert np.mean([item.encodes for item in fits]) <= 3.5


def test_an_image_that_cannot_fit_yields_its_error_and_the_others_go_on() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    smallest = len(CODEC.strip(CODEC.encode(noise, ToySettings().at_level(0))))
    images = [IMAGES[0], noise, IMAGES[1]]
    found = list(controller(CODEC, ToySettings(), Budget(smallest, "bytes")).encode_many(images))
    assert [isinstance(item, BudgetError) for item in found] == [False, True, False]


def test_outcome_does_not_depend_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> list[bytes]:
        found = controller(CODEC, ToySettings(), Budget.parse("4bpp")).encode_many(IMAGES)
        return [item.data for item in found if isinstance(item, Fit)]

    both = run()
    monkeypatch.setenv("CODECFRAME_THREADS", "1")
    assert run() == both


def test_a_mean_is_never_exceeded_at_any_moment_and_is_used() -> None:
    budget = Budget.parse("4bpp", mode="mean")
    found = list(controller(CODEC, ToySettings(), budget).encode_many(IMAGES))
    sizes = np.array([item.size for item in found if isinstance(item, Fit)])
    running = sizes.cumsum() / np.arange(1, len(sizes) + 1)
    assert (running <= budget.allowance((48, 40))).all()
    assert running[-1] >= 0.93 * budget.allowance((48, 40))


@given(st.floats(0.3, 3), st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_a_link_buffer_never_overflows(seconds: float, seed: int) -> None:
    budget = Budget(5 * 8 * 900, "bits/s", "link", 5)  # 900 bytes a frame
    depth = budget.amount / 8 * seconds
    rate = StreamController(CODEC, ToySettings(), budget, Accounting.PAYLOAD, depth=depth)
    backlog = 0.0
    for image in (picture(seed + i) for i in range(40)):
        size = rate.encode(image).size
        backlog = max(0.0, backlog - 900) + size
        assert backlog <= max(depth, 900) + 1
    assert math.isfinite(rate.saved)


def test_fit_mean_finds_the_largest_level_that_meets_the_mean() -> None:
    budget = Budget.parse("4bpp", mode="mean")
    found = fit_mean(CODEC, ToySettings(), IMAGES, budget)

    def mean(chosen: ToySettings) -> float:
        return float(np.mean([len(CODEC.strip(CODEC.encode(i, chosen))) for i in IMAGES]))

    assert mean(found) <= budget.allowance((48, 40)) < mean(found.at_level(found.level + 1))
    with pytest.raises(BudgetError, match="smallest encodings average"):
        fit_mean(CODEC, ToySettings(), IMAGES, Budget(5, "bytes", "mean"))


def test_what_a_search_encodes_for_one_mean_serves_others() -> None:
    passes = 0

    class Counted(list[Image]):
        def __iter__(self) -> Iterator[Image]:
            nonlocal passes
            passes += 1
            return super().__iter__()

    budgets = [Budget(rate, "bpp", "mean") for rate in (1, 2, 3, 4, 5, 6, 4)]
    alone = [fit_mean(CODEC, ToySettings(), Counted(IMAGES), budget) for budget in budgets]
    passes_alone, passes = passes, 0
    search = MeanSearch(CODEC, ToySettings(), Counted(IMAGES))
    assert [search.fit(budget) for budget in budgets] == alone
    assert passes < 0.7 * passes_alone


def test_a_link_whose_rate_changes_is_followed() -> None:
    fast, slow = Budget.parse("120kbit/s@10fps"), Budget.parse("60kbit/s@10fps")
    rate = controller(CODEC, ToySettings(), fast)
    assert isinstance(rate, StreamController)
    before = sum(rate.encode(image).size for image in IMAGES[:30])
    rate.follow(slow)
    saved = rate.saved
    assert saved <= 60e3 / 8, "not more than the new send buffer holds"
    after = sum(rate.encode(image).size for image in IMAGES[30:60])
    assert after <= 30 * slow.allowance((48, 40)) + saved
    assert 0.3 * before < after < 0.8 * before
