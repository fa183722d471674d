"""What is asked for: bytes that may be spent, or what must stay right."""

from __future__ import annotations

from typing import Any

from codecframe.core.codec import Codec
from codecframe.core.errors import UsageError
from codecframe.core.settings import Settings
from codecframe.rate.budget import Budget
from codecframe.rate.keep import Keep


def one_asked(
    budget: Budget | Keep | str | None,
    keep: Keep | str | None,
    score: float | None,
    confidence: float | None,
    mean: bool,
) -> Budget | Keep | None:
    """What is meant by the options of these names; None where none is given.

    Raises:
        UsageError: if both are asked for.
        BudgetError: if one cannot be read.
    """
    if isinstance(budget, Keep) and keep is None:
        budget, keep = None, budget
    kept = Keep.asked(keep, score, confidence)
    if kept is not None and budget is not None:
        raise UsageError("give either {budget} or what must stay right")
    if kept is not None and mean:
        raise UsageError("{mean} goes with {budget}")
    return kept or Budget.of(budget, mean=mean)


def settled(
    codec: Codec[Any], settings: Settings, budget: Budget | Keep | str | None, *, mean: bool = False
) -> tuple[Settings, Budget | None]:
    """Settings and budget of a codec: what must stay right names settings, and needs no budget.

    Args:
        codec: the codec.
        settings: as they were given.
        budget: what may be spent, or what must stay right and where that was measured.
        mean: a budget is for the average over the images.

    Raises:
        BudgetError: if it cannot be read, or nothing that was measured surely keeps enough.
    """
    if isinstance(budget, Keep):
        return budget.settings_for(codec, settings), None
    return settings, Budget.of(budget, mean=mean)
