"""What is measured where no codec is named."""

from __future__ import annotations

import codecframe
from codecframe.core.presets import describe
from codecframe.evaluation.profile import Plan

HEAD = codecframe.get_head("efficientnet-lite0")


def tried(plan: Plan, codec: str) -> list[str]:
    """The settings at which a codec is measured."""
    variants = plan.variants(HEAD)
    return [describe(each.codec, each.settings) for each in variants if each.codec.name == codec]


def test_codecs_that_are_not_named_are_tried_at_half_resolution() -> None:
    for codec in ("jpeg", "webp"):
        assert tried(Plan(scales=(1.0, 0.5)), codec) == ["", "scale=0.5"]
        assert tried(Plan([codec], scales=(1.0, 0.5)), codec) == [""]


def test_nothing_is_tried_twice() -> None:
    variants = Plan(scales=(1.0, 0.5), presets=True).variants(HEAD)
    found = [(each.codec.name, each.settings) for each in variants]
    assert len(found) == len(set(found))


def test_codecs_that_are_not_named_are_tried_with_presets_made_for_the_head() -> None:
    for codec in ("jpeg", "webp"):
        assert tried(Plan(presets=True), codec) == ["", "preset=imagenet"]
        assert tried(Plan(), codec) == [""]
        assert tried(Plan([codec], presets=True), codec) == [""]
