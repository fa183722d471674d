from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from toys import BrightnessHead, ShadeCodec, ShadeHead, ToyCodec, ToySettings, items, toy_registry

import codecframe
from codecframe import MismatchError, UnknownNameError
from codecframe.core import registry
from codecframe.evaluation.profile import Plan, ProfileTable, profile_images
from codecframe.evaluation.select import select, select_on_images
from codecframe.rate import Accounting, Budget

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
    table: ProfileTable, mode: Literal["cap", "mean"], accounting: Accounting
) -> None:
    found = select(table, Budget(1500, "bytes", mode), accounting)
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
def test_profile_and_select_in_one_go(
    tmp_path: Path, budget: str, mode: Literal["cap", "mean"]
) -> None:
    asked = Budget.parse(budget, mode=mode)
    images = items(30, labelled=True)
    found = select_on_images(tmp_path / "p", images, HEAD, asked, codecs=["toy", "bland"])
    assert found.winner is not None and found.winner.codec == "toy"
    allowed = asked.allowance((48, 40))
    slack = 1 + 1 / 5 if asked.mode == "link" else 1  # a link's buffer starts empty
    assert 0.85 * allowed <= found.winner.bytes_per_image <= allowed * slack
    again = select_on_images(tmp_path / "p", images, HEAD, asked, codecs=["toy", "bland"])
    assert again == found


class BlindHead(BrightnessHead):
    """Another classifier of pixels, which sees little."""

    name = "blind"

    def predict(self, batch: Any) -> codecframe.Prediction:
        return super().predict([image // 100 * 100 for image in batch])


class ShadePlugin:
    @codecframe.hookimpl
    def codecframe_codecs(self) -> list[ToyCodec]:
        return [ShadeCodec()]

    @codecframe.hookimpl
    def codecframe_heads(self) -> list[codecframe.TaskHead]:
        return [ShadeHead(), BlindHead()]


@pytest.fixture
def shades() -> None:
    registry.default().register(ShadePlugin(), "shades")


@pytest.mark.usefixtures("shades")
def test_a_head_of_latents_that_stands_for_the_one_asked_for_is_tried(tmp_path: Path) -> None:
    budget = Budget(200, "bytes", "mean")
    found = select_on_images(tmp_path / "p", items(30), HEAD, budget)
    assert found.winner is not None
    assert (found.winner.codec, found.winner.head) == ("shade", "shade-head")
    assert found.winner.score == 1
    others = {(other.codec, other.head) for other in found.others}
    assert others == {(name, "brightness") for name in ("toy", "bland")}
    named = select_on_images(tmp_path / "named", items(30), HEAD, budget, codecs=["toy", "shade"])
    assert {c.head for c in (named.winner, *named.others) if c} == {"brightness"}
    with (
        ProfileTable.open(tmp_path / "p") as one,
        ProfileTable.open(tmp_path / "p-shade-head") as other,
    ):
        assert select([one, other], budget) == found


@pytest.mark.usefixtures("shades")
def test_heads_are_compared_each_with_the_codecs_that_it_takes(tmp_path: Path) -> None:
    heads = [HEAD, ShadeHead(), BlindHead()]
    images, budget = items(30, labelled=True), Budget(1500, "bytes")
    found = select_on_images(tmp_path / "p", images, heads, budget, codecs=["toy", "shade"])
    assert found.winner is not None
    tried = {(c.codec, c.head): c for c in (found.winner, *found.others)}
    pixels = {(codec, head) for codec in ("toy", "shade") for head in ("brightness", "blind")}
    assert tried.keys() == pixels | {("shade", "shade-head")}
    assert tried["toy", "blind"].score < tried["toy", "brightness"].score
    for other in found.others:  # on the same images
        assert other.gap == pytest.approx(found.winner.score - other.score)


@pytest.mark.usefixtures("shades")
def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    budget = Budget(1500, "bytes")

    def run(heads: list[codecframe.TaskHead], codecs: list[str]) -> None:
        select_on_images(tmp_path / "p", items(8), heads, budget, codecs=codecs)

    with pytest.raises(MismatchError, match="give labels"):
        run([HEAD, BlindHead()], ["toy"])
    with pytest.raises(MismatchError, match="names of their own"):
        run([HEAD, BrightnessHead()], ["toy"])
    with pytest.raises(MismatchError, match="'toy' emits pixels"):
        run([ShadeHead()], ["toy"])
    alone = ShadeHead()
    alone.reference = ""
    with pytest.raises(MismatchError, match="measured by labels alone"):
        run([alone], ["shade"])
    plan = Plan(["toy"], levels=[50])
    with (
        profile_images(tmp_path / "8", items(8), HEAD, plan) as few,
        profile_images(tmp_path / "9", items(9), HEAD, plan) as more,
        pytest.raises(MismatchError, match=r"8 was made with images 8, .*9 with 9"),
    ):
        select([few, more], budget)


class CroppingHead(BrightnessHead):
    """Looks at the middle alone."""

    name = "middle"

    def prepare(self, image: codecframe.Image) -> codecframe.Image:
        return image[-24:, -20:]


def test_bits_a_pixel_are_not_compared_between_sizes(tmp_path: Path) -> None:
    heads, images = [HEAD, CroppingHead()], items(8, labelled=True)
    with pytest.raises(MismatchError, match="give the budget in bytes"):
        select_on_images(tmp_path / "p", images, heads, Budget(4.0, "bpp"), codecs=["toy"])
    found = select_on_images(tmp_path / "b", images, heads, Budget(1500, "bytes"), codecs=["toy"])
    assert found.winner is not None
