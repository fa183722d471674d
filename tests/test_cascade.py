"""A cascade: a head on the device answers what it is sure of, and the rest travels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from toys import BrightnessHead, ShadeCodec, ShadeHead, items, picture, toy_registry

import codecframe as cf
from codecframe import Keep, Outcomes
from codecframe.core.head import Batch
from codecframe.evaluation.profile import Plan, ProfileTable, profile_images
from codecframe.evaluation.select import select_keeping
from codecframe.pipeline.cascade import CLASS_BYTES
from codecframe.rate.cascade import SCALE, together

BROKEN = 32
"""Of 400 promises that break with a chance of 5 %, more break with a chance of 0.3 %."""
IMAGES = [picture(seed) for seed in range(24)]
LARGE = BrightnessHead()


class ThinHead(BrightnessHead):
    """Looks at few pixels: wrong where brightness is between two classes, and then not sure."""

    name = "thin"

    def predict(self, batch: Batch) -> cf.Prediction:
        return super().predict([np.asarray(image)[::6, ::5] for image in batch])


SMALL = ThinHead()


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    with toy_registry():
        yield


# -- from what confidence on ------------------------------------------------------------------


def test_no_more_promises_are_broken_than_was_said() -> None:
    """Of a head that is right with the chance of its confidence: what is kept from `t` on is
    1 - (1 - t)^2 / 2.
    """
    rng, keep, broken, travels = np.random.default_rng(4), Keep("95%"), 0, []
    for _ in range(400):
        confidence = rng.random(200)
        right = (rng.random(200) < confidence).astype(float)
        sure = cf.sure_from(confidence, Outcomes(right), keep)
        broken += (1 - sure) ** 2 / 2 > 0.05
        travels.append(min(sure, 1.0))
    assert broken <= BROKEN
    assert np.mean(travels) < 0.85  # 0.684 would be allowed


def test_a_head_that_is_sure_and_wrong_answers_nothing() -> None:
    wrong = Outcomes(np.zeros(300))
    assert cf.sure_from(np.ones(300), wrong, Keep("95%")) == math.inf
    with pytest.raises(cf.BudgetError, match="20 images do not show"):
        cf.sure_from(np.ones(20), Outcomes(np.ones(20)), Keep("95%"))


def test_scores_of_both_heads_count() -> None:
    """The head on the device is better where it is sure: more of it keeps more of the score."""
    rng = np.random.default_rng(0)
    confidence = rng.random(2000)
    device = Outcomes(None, (rng.random(2000) < confidence).astype(float))
    fallback = Outcomes(None, (rng.random(2000) < 0.8).astype(float))
    sure = cf.sure_from(confidence, device, Keep("score=0.77"), fallback)
    assert 0.4 < sure < 0.75
    both = together(confidence >= sure, device, fallback)
    assert Keep("score=0.77").kept(both) > 0.77
    assert list(SCALE) == sorted(SCALE, reverse=True) and SCALE[-1] == 0


# -- pipeline ---------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [None, "4bpp", "200kbit/s@5fps"])
def test_what_the_device_is_sure_of_does_not_travel(budget: str | None) -> None:
    def cascade() -> cf.Pipeline:
        return cf.Pipeline("toy", SMALL, fallback="brightness", sure=0.9, budget=budget)

    confidence = SMALL.confidence(SMALL.predict(IMAGES))
    here = confidence >= 0.9
    assert 0.1 < here.mean() < 0.9
    seen = cascade().predict(IMAGES).scores
    assert np.array_equal(seen[here], SMALL.predict(IMAGES).scores[here])
    if budget is None:  # else levels depend on the images before
        alone = cf.Pipeline("toy", LARGE).predict(IMAGES).scores
        assert np.array_equal(seen[~here], alone[~here])
    targets = LARGE.predict(IMAGES).scores.argmax(axis=1).tolist()
    found = cascade().evaluate(IMAGES, targets)
    assert found.travels == pytest.approx((~here).mean())
    assert found.score == pytest.approx((seen.argmax(axis=1) == targets).mean())


def test_sure_of_everything_and_of_nothing() -> None:
    every = cf.Pipeline("toy", SMALL, fallback=LARGE, sure=0)
    found = every.evaluate(IMAGES, [0] * len(IMAGES))
    assert (found.travels, found.bytes_per_image) == (0.0, CLASS_BYTES)
    none = cf.Pipeline("toy", SMALL, fallback=LARGE, sure=math.inf)
    assert np.array_equal(none.predict(IMAGES).scores, cf.Pipeline("toy", LARGE)(IMAGES).scores)
    assert len(every.predict([])) == 0


def test_a_mean_budget_gives_more_to_what_travels() -> None:
    budget = cf.Budget.of("2bpp", mean=True)
    plain = cf.Pipeline("toy", LARGE, budget=budget).evaluate(IMAGES, [0] * len(IMAGES))
    cascade = cf.Pipeline("toy", SMALL, fallback=LARGE, sure=0.9, budget=budget)
    found = cascade.evaluate(IMAGES, [0] * len(IMAGES))
    assert found.bpp <= 2 and plain.bpp <= 2
    sent = found.bytes_per_image - CLASS_BYTES * (1 - found.travels)
    assert sent / found.travels > 1.1 * plain.bytes_per_image


def test_a_head_of_latents_sees_those_of_the_lowest_level() -> None:
    cascade = cf.Pipeline(ShadeCodec(), ShadeHead(), fallback=ShadeHead(), sure=0)
    means = np.round([image.mean() for image in IMAGES])
    assert np.array_equal(
        cascade.predict(IMAGES).scores, LARGE.predict(means[:, None, None, None]).scores
    )
    with pytest.raises(cf.MismatchError, match="which no installed codec makes"):
        cf.Pipeline("toy", ShadeHead(), fallback=LARGE)


def test_what_cannot_be_a_cascade_is_refused() -> None:
    class Other(BrightnessHead):
        labels = ("light", "dark")

    class Vectors(BrightnessHead):
        task = cf.get_task("embedding")

    with pytest.raises(cf.UsageError, match="fallback needs head"):
        cf.Pipeline("toy", fallback=LARGE)
    with pytest.raises(cf.UsageError, match="sure needs fallback"):
        cf.Pipeline("toy", LARGE, sure=0.9)
    with pytest.raises(cf.UsageError, match="finds both"):
        cf.Pipeline("toy", SMALL, fallback=LARGE, budget=Keep("90%"))
    with pytest.raises(cf.UsageError, match="confidence"):
        cf.DeviceHead(SMALL, sure=-1)
    with pytest.raises(cf.MismatchError, match="other classes"):
        cf.Pipeline("toy", Other(), fallback=LARGE)
    with pytest.raises(cf.MismatchError, match="does embedding"):
        cf.Pipeline("toy", Vectors(), fallback=LARGE)
    with pytest.raises(cf.MismatchError, match="how sure"):
        Vectors().confidence(None)


# -- profile and select -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "p"
    with toy_registry():
        plan = Plan(codecs=["toy", "bland"], levels=[80, 140, 200, 240])
        images = items(300, labelled=True)
        profile_images(path, images, LARGE, plan, devices=[cf.DeviceHead(SMALL)]).close()
    return path


def test_a_choice_counts_what_its_pipeline_does(profile: Path) -> None:
    found = cf.select(profile, budget="2000B", mean=True, sure=0.9)
    cascades = [one for one in found.candidates if one.device_head]
    assert {one.codec for one in cascades} == {"toy", "bland"} and len(found.candidates) == 4
    toy = next(one for one in cascades if one.codec == "toy")
    images = items(300, labelled=True)
    pipeline = cf.Pipeline("toy", SMALL, fallback=LARGE, sure=0.9, settings=toy.settings)
    seen = pipeline.evaluate([i.image for i in images], [i.target for i in images])
    assert toy.travels == pytest.approx(seen.travels)
    assert toy.score == pytest.approx(seen.score)
    assert toy.bytes_per_image == pytest.approx(seen.bytes_per_image)
    plain = next(one for one in found.candidates if one.codec == "toy" and not one.device_head)
    assert toy.bytes_per_image < plain.bytes_per_image or toy.knob > plain.knob
    assert "travels %" in repr(found) and "thin from 0.9, then toy" in repr(found)
    record = next(one for one in found.records() if one["device_head"] == "thin")
    assert 0 < record["travels"] < 1 and record["sure"] == 0.9


def test_a_profile_says_what_is_answered_on_the_device(profile: Path) -> None:
    made = cf.Profile(profile)
    rows = made.to_dict()["device"]
    travels = [row["travels"] for row in rows]
    assert travels == sorted(travels) and rows[0]["head"] == "thin"
    assert "What a head on the device answers by itself" in repr(made)
    assert "travels" in cf.report(made, budget="2000B", mean=True, sure=0.9).html


@pytest.mark.parametrize("text", ["85%", "80%-of-score", "score=0.8"])
def test_a_promise_holds_for_the_cascade(profile: Path, text: str) -> None:
    keep = Keep(text)
    with ProfileTable.open(profile) as table:
        plain = select_keeping(table, keep, codecs=["toy"]).winner
        found = select_keeping(table, keep, codecs=["toy"], sure="auto")
    best = found.winner
    assert plain is not None and best is not None and best.sure is not None
    assert found.images == 200  # the others said what to try
    assert best.at_least == keep.least and best.score >= keep.least
    assert best.bytes_per_image < plain.bytes_per_image and best.travels < 1
    with pytest.raises(cf.UnknownNameError):  # of the small head the profile has the name alone
        cf.select(profile, keep=keep, codecs=["toy"], sure="auto").pipeline()


def test_images_that_said_where_to_look_say_what_to_try() -> None:
    images = [item.image for item in items(400)]
    made = cf.profile(images, SMALL, fallback=LARGE, codecs=["toy"], keep="80%")
    found = made.select(keep="80%", sure="auto")
    assert found.images == 300 and found.winner is not None and found.winner.sure is not None
    assert found.winner.travels < 1


def test_a_stated_confidence_is_tested_on_all_images(profile: Path) -> None:
    found = cf.select(profile, keep="80%", sure=0.95)
    assert found.images == 300 and found.winner is not None and found.winner.sure == 0.95
    loose = cf.select(profile, keep="99%", sure=0)
    assert loose.winner is None


def test_straight_from_images() -> None:
    images = [item.image for item in items(400)]
    found = cf.select(images, head=SMALL, fallback=LARGE, codecs=["toy"], keep="80%")
    assert found.winner is not None and found.winner.travels < 1
    fresh = [picture(seed) for seed in range(400, 700)]
    before = LARGE.predict(fresh).scores.argmax(axis=1)
    after = found.pipeline().predict(fresh).scores.argmax(axis=1)
    assert (before == after).mean() >= 0.8


def test_a_stopped_profile_goes_on(tmp_path: Path) -> None:
    images, device = items(40), [cf.DeviceHead(SMALL)]
    plan = Plan(codecs=["toy"], levels=[140])
    profile_images(tmp_path / "p", images, LARGE, plan).close()
    with pytest.raises(cf.MismatchError, match="--fallback"):
        cf.select(tmp_path / "p", budget="9kB", sure=0.9)
    with profile_images(tmp_path / "p", images, LARGE, plan, devices=device) as table:
        assert table.device.answers("thin").image.tolist() == list(range(40))
        assert table.device.heads == ["thin"] and table.counts() == {1: 40}
        with table._file.writing() as db:
            db.execute("DELETE FROM device_answers WHERE image >= 10")
    assert cf.select(tmp_path / "p", budget="9kB", sure=0.9).images == 10


@pytest.mark.parametrize(
    "change", ["confidence = 1.5", "bytes = -1", "agreement = 'x'", "confidence = 'nan'"]
)
def test_answers_of_a_stranger_are_checked(tmp_path: Path, change: str) -> None:
    plan, device = Plan(codecs=["toy"], levels=[140]), [cf.DeviceHead(SMALL)]
    table = profile_images(tmp_path / "p", items(3), LARGE, plan, devices=device)
    with table, table._file.writing() as db:
        db.execute(f"UPDATE device_answers SET {change} WHERE image = 1")
    with pytest.raises(cf.DataError):
        cf.select(tmp_path / "p", budget="9kB", sure=0.9)


@pytest.mark.parametrize(
    "given",
    [
        {"head": SMALL, "fallback": LARGE, "budget": "9kB"},
        {"head": SMALL, "fallback": LARGE, "budget": "9kB", "sure": "auto"},
        {"head": LARGE, "budget": "9kB", "sure": 0.9},
        {"head": SMALL, "fallback": LARGE, "budget": "9kB", "sure": "often"},
        {"head": SMALL, "fallback": LARGE, "keep": "80%", "sure": 2},
    ],
)
def test_what_does_not_go_together(given: dict[str, object]) -> None:
    with pytest.raises(cf.UsageError):
        cf.select(IMAGES, **given)  # type: ignore[arg-type]
