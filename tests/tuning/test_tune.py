"""Tuning: what is found is better, judged on other images, and a stopped run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import BrightnessHead, ToyCodec, ToySettings, items

import codecframe
from codecframe.core.classification import Prediction
from codecframe.core.errors import OutputError
from codecframe.core.head import Batch
from codecframe.core.presets import Preset, find_preset, parse_settings, parse_spec, preset_names
from codecframe.rate import Accounting, Budget
from codecframe.tuning import Objective, Score, Tuning, tune
from codecframe.tuning.search import search, searchable

BUDGET = Budget.parse("6bpp", mode="mean")
EVER = 1e9
"""Times that a search may take: what is found does not depend on how busy the machine is."""


@dataclass(frozen=True, kw_only=True)
class BlurrySettings(ToySettings):
    """A toy with a setting that spoils images, on by default, and one that costs time."""

    darken: int = codecframe.option(60, low=0, high=100, help="taken away from every pixel")
    slow: bool = codecframe.option(False, help="takes far longer")
    label: str = codecframe.option("", searched=False, help="changes nothing")


class BlurryCodec(ToyCodec):
    name = "blurry"
    settings_type = BlurrySettings
    encoded = 0

    def encode_image(self, image: codecframe.Image, settings: BlurrySettings) -> bytes:
        BlurryCodec.encoded += 1
        if settings.slow:
            end = time.process_time() + 0.0005
            while time.process_time() < end:
                pass
        darker = image.astype(int) - settings.darken * (image > settings.darken)
        return super().encode_image(darker.astype(np.uint8), settings)


class HarmlessCodec(ToyCodec):
    """All that can be searched is at its best by default."""

    name = "harmless"


def test_what_is_found_is_better_on_other_images() -> None:
    images = items(24, labelled=True)
    found = tune(BlurryCodec(), BrightnessHead(), images, BUDGET, trials=30, most_time=EVER)
    assert found.improved
    assert found.preset.settings["darken"] < 30
    assert "slow" not in found.preset.settings  # it gains nothing
    held = found.preset.scored["held-out"]
    assert held["images"] == 12
    assert held["tuned"]["loss"] < held["default"]["loss"]
    assert held["difference"][0] > 0


def test_the_second_half_changes_one_setting_of_the_best() -> None:
    images = [item.read() for item in items(12)]
    objective = Objective(BrightnessHead(), images, None, BUDGET, Accounting.PAYLOAD)
    scores = list(
        search(
            BlurryCodec(), BlurrySettings(), objective, 20,
            seed=1, slowest=EVER,
        )
    )  # fmt: skip
    assert len(scores) == 20
    seen = [score for score in scores[:10] if score]
    for score in filter(None, scores[10:]):
        best = min(seen, key=lambda one: one.loss)
        before, after = (one.settings.at_level(0).to_dict() for one in (best, score))
        assert len([name for name in before if before[name] != after[name]]) == 1
        assert after not in [one.settings.at_level(0).to_dict() for one in seen]
        seen.append(score)
    assert len(seen) > 15


def test_without_labels_the_uncompressed_prediction_is_the_aim() -> None:
    found = tune(
        BlurryCodec(), BrightnessHead(), items(24), BUDGET,
        trials=9, most_time=EVER,
    )  # fmt: skip
    assert found.improved
    assert found.preset.settings["darken"] < 40


def test_what_takes_too_long_is_not_found() -> None:
    found = tune(BlurryCodec(), BrightnessHead(), items(24), BUDGET, trials=4, most_time=0)
    assert not found.improved
    assert "darken" not in found.preset.settings


@pytest.mark.parametrize("is_seen_at_once", [False, True])
def test_what_takes_too_long_is_given_up_on_a_quarter_of_the_images(
    is_seen_at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_seen_at_once:  # on the first few images it was fast
        monkeypatch.setattr(Objective, "encode_us", lambda *_: 0.0)
    encodes = {}
    for most_time in (0, EVER):
        before = BlurryCodec.encoded
        images = [item.read() for item in items(128)]
        objective = Objective(BrightnessHead(), images, None, BUDGET, Accounting.PAYLOAD)
        scores = search(BlurryCodec(), BlurrySettings(), objective, 4, seed=0, slowest=most_time)
        assert len(list(scores)) == 4
        encodes[most_time] = BlurryCodec.encoded - before
    assert encodes[0] < encodes[EVER] / 2


def test_defaults_are_kept_where_nothing_beats_them() -> None:
    found = tune(HarmlessCodec(), BrightnessHead(), items(32), BUDGET, trials=6)
    held = found.preset.scored["held-out"]
    assert held["tuned"]["loss"] <= held["default"]["loss"]
    if not found.improved:
        assert held["tuned"] == held["default"]


class Stop(Exception):
    pass


class Watching:
    """A progress display that counts, and stops the work in the end."""

    def __init__(self, stop_after: int = 10**6) -> None:
        self.seen, self.stop_after, self.totals = 0, stop_after, 0

    def __call__(self, total: int) -> Watching:
        self.totals += total
        return self

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, count: int, note: str) -> None:
        self.seen += count
        if self.seen >= self.stop_after:
            raise Stop

    skip = advance


class KnowingCodec(BlurryCodec):
    """Tunes itself, after the search."""

    name = "knowing"
    asked = 0

    def tune(
        self, base: BlurrySettings, objective: Objective, *, trials: int, seed: int, slowest: float
    ) -> Iterator[Score]:
        self.asked = trials
        for i in range(trials):
            yield objective.measure(self, base.replace(darken=max(0, 50 - 10 * i)))


@pytest.fixture
def tuned(tmp_path: Path) -> Callable[..., tuple[Tuning, int]]:
    """Tune with one file of measurements; also returns how many images were encoded."""

    def call(
        progress: Watching | None = None,
        codec: type[BlurryCodec] = BlurryCodec,
        head: codecframe.TaskHead | None = None,
        budget: Budget = BUDGET,
        images: int = 24,
        file: str = "measured",
    ) -> tuple[Tuning, int]:
        before = BlurryCodec.encoded
        found = tune(
            codec(), head or BrightnessHead(), items(images, labelled=True), budget,
            trials=9, most_time=EVER, measured=tmp_path / file, progress=progress or Watching(),
        )  # fmt: skip
        return found, BlurryCodec.encoded - before

    return call


@pytest.mark.parametrize("codec", [BlurryCodec, KnowingCodec])
@pytest.mark.parametrize("stop_after", [2, 7])
def test_a_stopped_run_goes_on_as_if_it_had_not(
    tuned: Callable[..., tuple[Tuning, int]], codec: type[BlurryCodec], stop_after: int
) -> None:
    whole, encoded = tuned(codec=codec, file="whole")
    with pytest.raises(Stop):
        tuned(Watching(stop_after), codec=codec)
    watching = Watching()
    found, left = tuned(watching, codec=codec)
    assert watching.seen == watching.totals > 1 + 9  # one variant, `slow`, and the trials
    assert left <= encoded - 24 * stop_after  # two levels of 12 images each, at least
    assert found.preset.settings == whole.preset.settings
    assert found.preset.settings["darken"] < 60
    again, checked = tuned(codec=codec)
    assert again.preset.settings == whole.preset.settings
    assert checked < encoded / 2  # the start, and the held-out images


class DimHead(BrightnessHead):
    """Sees less of a difference."""

    def predict(self, batch: Batch) -> Prediction:
        seen = super().predict(batch)
        return Prediction(0.5 * seen.scores, seen.labels)


@pytest.mark.parametrize(
    "other",
    [{"head": DimHead()}, {"budget": Budget(7, "bpp", "mean")}, {"images": 26}, {"images": 60}],
    ids=["head", "budget", "few more images", "many more images"],
)
def test_what_was_measured_of_something_else_is_forgotten(
    tuned: Callable[..., tuple[Tuning, int]], other: dict[str, Any]
) -> None:
    anew, encoded = tuned(**other, file="other")
    tuned()
    found, again = tuned(**other)
    assert found.preset.settings == anew.preset.settings
    assert again == encoded


def test_only_what_a_tuning_has_measured_is_gone_on_from(
    tuned: Callable[..., tuple[Tuning, int]], tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 999)
    with pytest.raises(OutputError, match=r"photo\.jpg: codecframe did not make"):
        tuned(file="photo.jpg")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder"):
        tuned(file="folder")


def test_a_little_more_budget_changes_little() -> None:
    """Between two levels of the knob losses are interpolated."""
    images = [item.read() for item in items(24)]
    scores = []
    for bpp in (5.0, 5.001):
        budget = Budget(bpp, "bpp", "mean")
        objective = Objective(BrightnessHead(), images, None, budget, Accounting.PAYLOAD)
        score = objective.measure(ToyCodec(), ToySettings())
        assert score.size <= objective.allowance * 1.01
        scores.append(score.loss)
    assert scores[0] == pytest.approx(scores[1], rel=0.02)


def test_an_unreachable_budget_is_refused() -> None:
    images = [item.read() for item in items(16)]
    budget = Budget(0.01, "bpp", "mean")
    objective = Objective(BrightnessHead(), images, None, budget, Accounting.PAYLOAD)
    with pytest.raises(codecframe.BudgetError):
        objective.measure(ToyCodec(), ToySettings())


def test_defaults_that_are_over_the_budget_on_held_out_images_do_not_stop_it() -> None:
    class Marked(ToyCodec):
        def encode_image(self, image: codecframe.Image, settings: ToySettings) -> bytes:
            is_hard = image[0, 0, 0] == 255 and settings.effort == ToySettings().effort
            return super().encode_image(image, settings) + bytes(99_999 * is_hard)

    images = [replace(item, image=item.image.copy()) for item in items(32, labelled=True)]
    for place, item in enumerate(images):
        item.image[0, 0] = 255 * (place % 2)
    found = tune(
        Marked(), BrightnessHead(), images[::2], BUDGET,
        held_out=images[1::2], trials=6, most_time=EVER,
    )  # fmt: skip
    held = found.preset.scored["held-out"]
    assert held["default"]["over"] and "over" not in held["tuned"]
    assert "default (over the budget)" in repr(found)


def test_fields_that_can_be_searched() -> None:
    names = [info.name for info in searchable(BlurrySettings)]
    assert names == ["effort", "darken", "slow"]
    jpeg = codecframe.get_codec("jpeg").settings_type
    assert {"subsampling", "deadzone"} <= {info.name for info in searchable(jpeg)}
    assert not {"quality", "restart", "qtables"} & {info.name for info in searchable(jpeg)}


def test_a_codec_that_tunes_itself_is_asked_for_two_thirds() -> None:
    codec = KnowingCodec()
    images = items(24, labelled=True)
    found = tune(codec, BrightnessHead(), images, BUDGET, trials=9, most_time=EVER)
    assert codec.asked == 6
    assert found.preset.settings["darken"] == 0


def test_too_few_images_are_refused() -> None:
    with pytest.raises(codecframe.DataError, match="16 or more"):
        tune(ToyCodec(), BrightnessHead(), items(9), BUDGET)


# -- presets ----------------------------------------------------------------------------------


class WithPresets(ToyCodec):
    name = "with-presets"


@pytest.fixture
def codec(tmp_path: Path) -> WithPresets:
    folder = tmp_path / "presets"
    Preset("with-presets", {"effort": 2, "strength": 40}).write(folder / "small.yaml")
    WithPresets.presets = folder
    return WithPresets()


def test_presets_are_named_or_files(codec: WithPresets, tmp_path: Path) -> None:
    assert preset_names(codec) == ["small"]
    assert find_preset(codec, "small") == ToySettings(effort=2, strength=40)
    path = tmp_path / "mine.yaml"
    Preset("with-presets", {"effort": 3}, {"seed": 0}, {"loss": [0.1, (1, 2)]}).write(path)
    assert parse_settings(codec, [f"preset={path}", "strength=9"]) == ToySettings(
        effort=3, strength=9
    )
    assert parse_settings(codec, ["strength=9", "preset=small"]).strength == 9


def test_a_list_in_a_spec_may_hold_what_looks_like_settings() -> None:
    _, settings = parse_spec("avif:advanced=[enable-cdef=0,sharpness=3,speed=1],speed=9")
    assert settings.to_dict()["advanced"] == ["enable-cdef=0", "sharpness=3", "speed=1"]
    assert settings.to_dict()["speed"] == 9


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nonsense: [", "DataError"),
        ("settings: {}", "DataError"),
        ("codec: other\nsettings: {}", "MismatchError"),
        ("codec: with-presets\nsettings: {efort: 2}", "SettingsError"),
        ("codec: with-presets\nsettings: 3", "DataError"),
        ("codec: with-presets\nsettings: {}\nbogus: 1", "DataError"),
    ],
)
def test_bad_presets_are_refused(codec: WithPresets, tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(getattr(codecframe, error)):
        find_preset(codec, str(path))


def test_an_unknown_preset_gets_the_nearest(codec: WithPresets) -> None:
    with pytest.raises(codecframe.UnknownNameError, match="did you mean 'small'"):
        find_preset(codec, "smal")


def test_scores_are_means() -> None:
    score = Score(ToySettings(), np.array([1.0, 3.0]), np.array([0.0, 1.0]), 10.0, 5.0)
    assert (score.loss, score.score) == (2.0, 0.5)
