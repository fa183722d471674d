"""Asking for what must stay right: the fewest bytes that keep it, for sure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from toys import BrightnessHead, ToyCodec, ToySettings, items, toy_registry

import codecframe
from codecframe import BudgetError, Keep, MismatchError
from codecframe.evaluation.profile import Plan, ProfileTable, profile_images
from codecframe.evaluation.select import select_keeping, select_keeping_on_images

HEAD = BrightnessHead()
LEVELS = [20, 80, 140, 200, 240, 254]


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    with toy_registry():
        yield


@pytest.fixture
def table(tmp_path: Path, toys: None) -> Iterator[ProfileTable]:
    plan = Plan(codecs=["toy", "bland"], levels=LEVELS)
    with profile_images(tmp_path / "p", items(120, labelled=True), HEAD, plan) as found:
        yield found


@pytest.mark.parametrize("text", ["90%", "85%-of-score", "score=0.9"])
def test_the_fewest_bytes_win_that_surely_keep_enough(table: ProfileTable, text: str) -> None:
    keep = Keep(text)
    found = select_keeping(table, keep)
    assert found.winner is not None and found.winner.codec == "toy"
    assert found.winner.score >= keep.least and found.winner.at_least == keep.least
    assert (found.mode, found.confidence, found.images) == ("keep", 0.95, 120)
    points = {
        point.settings["strength"]: keep.p_value(
            table.outcomes(number, table.measured_by([number]))
        )
        for number, point in table.points().items()
        if point.codec == "toy"
    }
    chosen = found.winner.settings["strength"]
    assert all(p <= keep.error / 2 for strength, p in points.items() if strength >= chosen)
    lower = max((s for s in points if s < chosen), default=None)
    assert lower is None or points[lower] > keep.error / 2
    (bland,) = found.others
    assert not bland.fits and "at the highest level" in bland.why
    assert bland.at_least is not None and bland.at_least < keep.least


def test_asking_for_more_never_costs_less(table: ProfileTable) -> None:
    sizes = []
    for text in ("75%", "80%", "85%", "90%"):
        winner = select_keeping(table, Keep(text)).winner
        assert winner is not None
        sizes.append(winner.bytes_per_image)
    assert sizes == sorted(sizes)


def test_too_few_images_say_how_many_are_needed(table: ProfileTable, tmp_path: Path) -> None:
    found = select_keeping(table, Keep("99.5%"))
    assert found.winner is None
    assert found.would_fit == "120 images are too few: 736 are needed, if nothing is lost on any"
    with pytest.raises(MismatchError, match=r"nothing keeps 99\.5%"):
        found.pipeline()
    with pytest.raises(BudgetError, match=r"40 images are too few .* at least 245 are needed"):
        select_keeping_on_images(tmp_path / "q", items(40), HEAD, Keep("98%"))


def test_straight_from_images(tmp_path: Path) -> None:
    found = select_keeping_on_images(tmp_path / "q", items(160, labelled=True), HEAD, Keep("90%"))
    assert found.winner is not None and found.winner.codec == "toy"
    assert found.images == 120  # the other 40 said where to look
    assert found.winner.at_least == 0.9
    pipeline = found.pipeline()
    assert pipeline.budget is None
    fresh = items(400)[160:]
    before = HEAD.predict([item.image for item in fresh]).scores.argmax(axis=1)
    after = pipeline.predict([item.image for item in fresh]).scores.argmax(axis=1)
    assert (before == after).mean() >= 0.9


def test_a_profile_around_what_keeps_it(tmp_path: Path) -> None:
    plan = Plan(codecs=["toy"], keep=Keep("90%"))
    with profile_images(tmp_path / "p", items(160), HEAD, plan) as table:
        points = table.points()
        assert 2 <= len(points) <= 6
        assert table.tried().tolist() == list(range(0, 160, 4))
        found = select_keeping(table, Keep("90%"))
    assert found.winner is not None and found.images == 120
    assert "40 images said where to look, the others decide" in found.notes
    with profile_images(tmp_path / "p", items(160), HEAD, plan) as again:
        assert again.points() == points
    fine = Plan(codecs=["toy"], levels=range(180, 256, 15))
    with profile_images(tmp_path / "q", items(160), HEAD, fine) as table:
        all_levels = select_keeping(table, Keep("90%")).winner
    assert all_levels is not None
    assert found.winner.bytes_per_image < 1.4 * all_levels.bytes_per_image


def test_a_level_that_cannot_be_sure_any_more_is_not_measured_further(tmp_path: Path) -> None:
    codec = CountingCodec()
    with toy_registry() as toys:
        name = toys.hold(codec)
        found = select_keeping_on_images(
            tmp_path / "r", items(400), HEAD, Keep("90%"), codecs=[name]
        )
    assert found.winner is not None and found.images == 300
    deciding = [n for n in codec.encoded.values() if n > 100]
    assert min(deciding) < 300 <= max(deciding)


class CountingCodec(ToyCodec):
    """Counts how many images it encoded at each level."""

    name = "counting"

    def __init__(self) -> None:
        self.encoded: Counter[int] = Counter()

    def encode_image(self, image: codecframe.Image, settings: ToySettings) -> bytes:
        self.encoded[settings.strength] += 1
        return super().encode_image(image, settings)


def test_profiles_that_do_not_know_the_score_of_uncompressed_images(
    table: ProfileTable, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    with table._file.writing() as db:
        db.execute("DROP TABLE uncompressed")
    table.path.rename(old)
    with ProfileTable.open(old) as found, pytest.raises(MismatchError, match="measure anew"):
        select_keeping(found, Keep("90%-of-score"))


def test_a_keep_is_taken_wherever_a_budget_is(table: ProfileTable) -> None:
    by_budget = codecframe.select(table.path, budget=Keep("90%"))
    assert by_budget == codecframe.select(table.path, keep="90%")
    assert by_budget == codecframe.Profile(table.path).select(keep="90%")
    assert "90% kept, payload bytes, 120 images, 95 % sure" in repr(by_budget)
    assert by_budget.to_dict()["confidence"] == 0.95
    page = codecframe.report(table.path, keep="90%", confidence=0.9).html
    assert "at least 90.0 %, 90 % sure" in page
    with pytest.raises(codecframe.UsageError):
        codecframe.select(table.path, budget="1bpp", keep="90%")
    with pytest.raises(codecframe.UsageError):
        codecframe.select(table.path)
