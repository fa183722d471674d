from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecframe import BudgetError
from codecframe.rate import Budget


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.8bpp", 5017), ("0.8 bpp", 5017), ("1200B", 1200), ("12kB", 12000), ("12KiB", 12288),
        ("1.5MB", 1_500_000), ("256kbit/s@5fps", 6400), ("2Mbit/s @ 30 fps", 8333),
    ],
)  # fmt: skip
def test_forms(text: str, expected: int) -> None:
    assert Budget.parse(text).bytes_for((224, 224)) == expected


@pytest.mark.parametrize(
    "text", ["", "0.8", "0bpp", "-1bpp", "12 kb", "1e999bpp", "256kbit/s", "5fps", "256kbit/s@0fps"]
)
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(BudgetError):
        Budget.parse(text)


@given(st.floats(0.001, 1e6), st.sampled_from(["bpp", "B"]))
def test_text_round_trips(amount: float, unit: str) -> None:
    budget = Budget.parse(f"{amount:.6g}{unit}") if "e" not in f"{amount:.6g}" else None
    if budget is not None:
        assert Budget.parse(str(budget)) == budget


def test_modes() -> None:
    assert Budget.parse("1kB", mode="mean").mode == "mean"
    assert Budget.parse("256kbit/s@5fps").mode == "link"
    with pytest.raises(BudgetError):
        Budget(1, "bpp", "link", 5)
