"""A small profile of toys to select from and report on."""

from __future__ import annotations

from pathlib import Path

from toys import BrightnessHead, items

from codecframe.evaluation.profile import Plan, ProfileTable, profile_images
from codecframe.rate import Budget

LEVELS = [20, 140, 240]
BUDGET = Budget.parse("4bpp")


def make_table(path: Path, *, labelled: bool = False) -> ProfileTable:
    """A profile with lines, a second variant of a codec, and a point controlled to `BUDGET`."""
    images, head = items(12, labelled=labelled), BrightnessHead()
    plan = Plan(codecs=["toy", "bland", "toy:effort=1"], levels=LEVELS)
    profile_images(path, images, head, plan).close()
    return profile_images(path, images, head, Plan(codecs=["toy"], budget=BUDGET))
