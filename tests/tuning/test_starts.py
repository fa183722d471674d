"""What a tuning starts from, what it may cost, and for which encoder: the answer keeps to that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from toys import BrightnessHead, ToyCodec, ToySettings, items

import codecframe
from codecframe.core.image import Image
from codecframe.core.presets import Preset
from codecframe.rate import Accounting, Budget
from codecframe.tuning import Objective, measure_export, tune
from codecframe.tuning.starts import starting_points
from codecframe_jpeg.settings import JpegSettings

BUDGET = Budget.parse("6bpp", mode="mean")
JPEG = codecframe.get_codec("jpeg")


@dataclass(frozen=True, kw_only=True)
class DimSettings(ToySettings):
    """Three things that spoil images, and one that takes time and spoils less."""

    darken: int = codecframe.option(60, low=0, high=100, help="taken away from every pixel")
    careful: bool = codecframe.option(False, help="darkens less, and takes six times as long")
    soft: bool = codecframe.option(False, searched=False, help="another way to darken less")
    kind: str = codecframe.option("a", choices=("a", "b", "c"), help="darkens as it may")


LIGHT = {"a": 1.0, "b": 1.5, "c": 0.5}


class Clock:
    """Passes as images are encoded; the first one takes long."""

    def __init__(self) -> None:
        self.now, self.encoded = 0.0, 0

    def __call__(self) -> float:
        return self.now

    def encode(self, settings: DimSettings) -> None:
        self.now += 0.001 * (6 if settings.careful else 1) * (1000 if not self.encoded else 1)
        self.encoded += 1


class DimCodec(ToyCodec):
    """Its clock, not the machine's, says how long it takes."""

    name = "dim"
    settings_type = DimSettings
    encoders: ClassVar[dict[str, frozenset[str]]] = {"simple": frozenset(("soft", "kind"))}

    def __init__(self) -> None:
        self.clock = Clock()

    def encode_image(self, image: Image, settings: DimSettings) -> bytes:
        self.clock.encode(settings)
        share = LIGHT[settings.kind] * (0.1 if settings.careful or settings.soft else 1.0)
        dark = int(settings.darken * share)
        return super().encode_image((image - dark * (image > dark)).astype(np.uint8), settings)

    def encode_images(self, images: Iterable[Image], settings: DimSettings) -> list[bytes]:
        return [self.encode(image, settings) for image in images]


class Knowing(DimCodec):
    """Says itself what is commonly set; a search leaves that alone."""

    def variants(self, base: DimSettings) -> Iterator[DimSettings]:
        yield base.replace(soft=True)


class Stubborn(Knowing):
    """Nothing can be searched that helps."""

    name = "stubborn"

    def tune(
        self,
        base: DimSettings,
        objective: Objective,
        *,
        trials: int,
        seed: int,
        slowest: float,
        lacking: Sequence[str] = (),
    ) -> Iterator[Any]:
        yield objective.measure(self, base.replace(darken=100))


def tuned(codec: DimCodec, **more: Any) -> Any:
    options: dict[str, Any] = {"trials": 3, "clock": codec.clock, "most_time": 4.0} | more
    return tune(codec, BrightnessHead(), items(24, labelled=True), BUDGET, **options)


def test_starting_points_are_switches_and_choices() -> None:
    base = DimSettings(darken=7)
    found = starting_points(DimCodec(), base)
    assert found[0] == base
    assert {s.kind for s in found} == {"a", "b", "c"}
    assert {s.darken for s in found} == {7}
    assert [s.careful for s in found].count(True) == 1
    assert {s.kind for s in starting_points(DimCodec(), base, "simple")} == {"a"}


def test_starting_points_are_presets_of_any_head(tmp_path: Path) -> None:
    class WithPreset(DimCodec):
        presets = tmp_path

    Preset("dim", {"darken": 3, "strength": 9}, {"head": "other"}).write(tmp_path / "other.yaml")
    found = starting_points(WithPreset(), DimSettings())
    assert 3 in {settings.darken for settings in found}


def test_starting_points_of_jpeg() -> None:
    base = JpegSettings(arithmetic=True, deadzone=0.1)
    found = starting_points(JPEG, base)
    assert JpegSettings(optimize=True) in found
    assert JpegSettings(progressive=True) in found
    assert JpegSettings(subsampling="4:4:4", optimize=True) in found
    assert {s.scale for s in found if not s.qtables} == {1, 0.75, 0.5, 0.375}
    assert len([s for s in found if s.qtables]) >= 3  # presets
    assert len(found) == len({s.at_level(0) for s in found})
    for encoder, lacks in JPEG.encoders.items():
        usual = JPEG.adapted(base, encoder)
        for settings in starting_points(JPEG, usual, encoder):
            assert all(getattr(settings, n) == getattr(usual, n) for n in lacks), encoder


def test_a_variant_that_is_not_searched_is_the_answer_where_nothing_beats_it() -> None:
    found = tuned(Stubborn())
    assert found.preset.settings["soft"] is True
    assert found.improved
    assert not found.beats_starts
    start, held = found.preset.scored["start"], found.preset.scored["held-out"]
    assert start["settings"] == "soft=true"
    assert held["tuned"]["loss"] == start["loss"] < held["default"]["loss"]


@pytest.mark.parametrize("trials", [1, 12])
def test_the_answer_is_never_worse_than_a_starting_point(trials: int) -> None:
    codec = Knowing()
    found = tuned(codec, trials=trials)
    held = items(24, labelled=True)[1::2]
    images, targets = [item.read() for item in held], [item.target for item in held]
    objective = Objective(BrightnessHead(), images, targets, BUDGET, Accounting.PAYLOAD)
    answer = objective.measure(codec, DimSettings.from_dict(found.preset.settings)).loss
    for start in starting_points(codec, DimSettings()):
        assert answer <= objective.measure(codec, start).loss


@pytest.mark.parametrize(("most_time", "careful"), [(4.0, False), (5.9, False), (6.1, True)])
def test_settings_take_no_longer_than_they_may(most_time: float, careful: bool) -> None:
    """Though the first encoding takes a thousand times as long as others."""
    codec = DimCodec()
    found = tuned(codec, most_time=most_time, base=DimSettings(darken=100), trials=1)
    assert found.preset.settings.get("careful", False) is careful
    assert found.preset.scored["encode_time"] == pytest.approx(6.0 if careful else 1.0)


def test_for_an_encoder_what_it_lacks_is_left_alone() -> None:
    for trials in (1, 9):
        found = tuned(Knowing(), encoder="simple", trials=trials)
        assert not {"soft", "kind"} & set(found.preset.settings)
        assert found.preset.made["for"] == "simple"
    with pytest.raises(codecframe.UnknownNameError, match="simple"):
        tuned(Knowing(), encoder="simpel")


def test_an_export_says_what_it_costs_without_what_stays_behind() -> None:
    found = tuned(Knowing(), trials=1)
    figures = found.preset.scored["exports"]["simple"]
    assert figures["lacks"] == ["soft"]
    assert figures["within"]
    assert figures["bpp"] <= BUDGET.amount
    assert figures["score"] < found.preset.scored["held-out"]["tuned"]["score"]
    assert "soft" not in figures["settings"]


def objective_of(budget: str) -> Objective:
    images = [item.read() for item in items(20)]
    return Objective(
        BrightnessHead(), images, None, Budget.parse(budget, mode="mean"), Accounting.PAYLOAD
    )


@pytest.mark.parametrize("encoder", ["cjpeg", "pillow"])
def test_exports_of_jpeg_meet_the_budget_in_whole_files(encoder: str) -> None:
    preset = JPEG.settings_type(deadzone=0.2, quality=90, subsampling="4:4:4")
    objective = objective_of("3bpp")
    figures = measure_export(JPEG, preset, encoder, objective)
    settings = JPEG.settings_type.from_dict(figures["settings"])
    sizes = [len(JPEG.encode(image, settings)) for image in objective.images]
    assert figures["bpp"] == pytest.approx(8 * np.mean(sizes) / (48 * 40), abs=1e-3)
    assert figures["within"]
    assert figures["bpp"] <= 3
    assert (figures["lacks"], settings.optimize) == (["deadzone"], True)


def test_an_export_over_the_budget_says_so() -> None:
    figures = measure_export(JPEG, JPEG.settings_type(), "pillow", objective_of("0.5bpp"))
    assert not figures["within"]
    assert figures["bpp"] > 0.5
    assert figures["settings"]["quality"] == 1


def test_a_score_at_the_budget_never_costs_more() -> None:
    """On images of which the sample is smaller than the rest."""
    images = [item.read() for item in items(96)]
    objective = Objective(BrightnessHead(), images, None, BUDGET, Accounting.PAYLOAD)
    for effort in (1, 6, 9):
        assert objective.measure(ToyCodec(), ToySettings(effort=effort)).size <= objective.allowance


def test_pieces_hold_all_images_and_few_pixels() -> None:
    objective = objective_of("3bpp")
    pieces = list(objective.pieces(3 * 48 * 40))
    assert [len(piece.images) for piece in pieces] == [3] * 6 + [2]
    losses = [piece.judge(piece.images)[0] for piece in pieces]
    assert np.allclose(np.concatenate(losses), objective.judge(objective.images)[0])
