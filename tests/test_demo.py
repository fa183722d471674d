from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys import BrightnessHead, ShadeCodec, ShadeHead, ToyCodec, ToySettings, picture, toy_registry

import codecframe
from codecframe import BudgetError, DependencyError, UnknownNameError
from codecframe.core import registry
from codecframe.core.errors import OutputError
from codecframe.evaluation import demo, shapes
from codecframe.evaluation.profile import ProfileTable

HEAD = BrightnessHead()


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[list[Path]]:
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / f"{seed}.png" for seed in range(4)]
    for seed, path in enumerate(paths):
        Image.fromarray(picture(seed)).save(path)
    with toy_registry():
        yield paths


def run(tmp_path: Path, photos: list[Path], **options: Any) -> demo.Demo:
    asked: dict[str, Any] = {"codecs": ["toy", "bland"], "budgets": ["4bpp", "0.12bpp"]}
    return demo.run_demo(tmp_path / "out", head="brightness", photos=photos, **asked | options)


@pytest.mark.parametrize("name", ["contact-sheet.png", "report.html", "demo.profile"])
def test_what_no_demonstration_made_is_left_alone(
    tmp_path: Path, photos: list[Path], name: str
) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir()
    path.write_text("years")
    with pytest.raises(OutputError, match="--force"):
        run(tmp_path, photos)
    assert path.read_text() == "years"
    run(tmp_path, photos, force=True)
    run(tmp_path, photos, budgets=["3bpp"])


def test_it_reports_what_the_head_sees_through_every_codec(
    tmp_path: Path, photos: list[Path]
) -> None:
    found = run(tmp_path, photos)
    assert [photo.name for photo in found.photos] == [path.name for path in photos]
    for seed, photo in enumerate(found.photos):
        assert photo.label == HEAD.predict([picture(seed)]).top(1)[0][0].label
        asked = [(o.budget, o.codec) for o in photo.outcomes]
        assert asked == [(b, c) for b in ("4bpp", "0.12bpp") for c in ("toy", "bland")]
        for outcome in photo.outcomes:
            limit = {"4bpp": 4.0, "0.12bpp": 0.12}[outcome.budget]
            if outcome.size is None:
                assert outcome.why and outcome.label is None and outcome.agrees is None
                assert outcome.smallest is not None and outcome.smallest * 8 / (48 * 40) > limit
            else:
                assert outcome.bpp == pytest.approx(outcome.size * 8 / (48 * 40))
                assert outcome.bpp <= limit
                assert outcome.agrees == (outcome.label == photo.label)
    assert any(outcome.size is None for photo in found.photos for outcome in photo.outcomes)


def test_the_winner_changes_the_prediction_least(tmp_path: Path, photos: list[Path]) -> None:
    for photo in run(tmp_path, photos).photos:
        for budget, winner in photo.winners.items():
            rivals = {
                outcome.codec: outcome.divergence
                for outcome in photo.outcomes
                if outcome.budget == budget and outcome.divergence is not None
            }
            assert (winner is None) == (not rivals)
            if winner is not None:
                assert rivals[winner] == min(rivals.values())


def test_it_writes_sheet_report_and_profile(tmp_path: Path, photos: list[Path]) -> None:
    found = run(tmp_path, photos)
    with Image.open(found.contact_sheet) as sheet:
        assert sheet.format == "PNG" and sheet.width > 5 * 160
    assert found.report.read_text(encoding="utf-8").startswith("<!doctype html>")
    with ProfileTable.open(found.profile) as table:
        assert {point.budget for point in table.points().values()} == {"", "4bpp", "0.12bpp"}
    assert found.selections["4bpp"].winner is not None
    assert found.selections["4bpp"].winner.codec == "toy"
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["contact_sheet"] == str(found.contact_sheet)
    assert plain["photos"][0]["outcomes"][0]["codec"] == "toy"


def test_the_sheet_shows_the_decoded_photograph(tmp_path: Path, photos: list[Path]) -> None:
    found = run(tmp_path, photos[:1], codecs=["toy:effort=9"], budgets=["4bpp"])
    outcome = found.photos[0].outcomes[0]
    codec, image = ToyCodec(), picture(0)
    sizes = {
        strength: len(codec.strip(codec.encode(image, ToySettings(strength=strength, effort=9))))
        for strength in range(1, 256)
    }
    fitting = [strength for strength, size in sizes.items() if size + 1 == outcome.size]
    with Image.open(io.BytesIO(found.contact_sheet.read_bytes())) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    shown = [codec.decode(codec.encode(image, ToySettings(strength=s))) for s in fitting]
    assert any(contains(pixels, one.repeat(4, axis=0).repeat(4, axis=1)) for one in shown)


def contains(sheet: np.ndarray, tile: np.ndarray) -> bool:
    height, width = tile.shape[:2]
    corners = np.argwhere((sheet[:-height, :-width] == tile[0, 0]).all(axis=2))
    return any(np.array_equal(sheet[y : y + height, x : x + width], tile) for y, x in corners)


class ShadePlugin:
    @codecframe.hookimpl
    def codecframe_codecs(self) -> list[ToyCodec]:
        return [ShadeCodec()]

    @codecframe.hookimpl
    def codecframe_heads(self) -> list[BrightnessHead]:
        return [ShadeHead()]


def test_a_learned_codec_hands_latents_to_its_head(tmp_path: Path, photos: list[Path]) -> None:
    registry.default().register(ShadePlugin(), "shades")
    found = run(tmp_path, photos, codecs=["toy", "shade"])
    heads = {outcome.codec: outcome.head for outcome in found.photos[0].outcomes}
    assert heads == {"toy": "brightness", "shade": "shade-head"}
    for photo in found.photos:  # the decoded pictures, all of one grey, say nothing of the label
        shade = next(outcome for outcome in photo.outcomes if outcome.codec == "shade")
        assert shade.label == photo.label and shade.agrees
    (other,) = found.more_profiles
    assert other.name == "demo-shade-head.profile"
    with ProfileTable.open(other) as table:
        assert table.head == "shade-head"
        assert {point.codec for point in table.points().values()} == {"shade"}
    assert {one.head for one in found.selections["0.12bpp"].candidates} == {
        "brightness",
        "shade-head",
    }
    other.write_text("years")
    with pytest.raises(OutputError, match="--force"):
        run(tmp_path, photos, codecs=["toy", "shade"])
    assert other.read_text() == "years"
    assert "shade-head" in found.report.read_text(encoding="utf-8")
    grey = np.full((4 * 48, 4 * 40, 3), 128, np.uint8)  # what its decoder rebuilds, enlarged
    with Image.open(found.contact_sheet) as sheet:
        assert contains(np.asarray(sheet.convert("RGB")), grey)


def test_learned_codecs_with_a_head_are_tried_unasked(
    tmp_path: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "DEFAULT_CODECS", ("toy",))
    assert run(tmp_path, photos[:1], codecs=()).codecs == ("toy",)
    with toy_registry() as toys:
        toys.register(ShadePlugin(), "shades")
        assert run(tmp_path, photos[:1], codecs=()).codecs == ("toy", "shade")


def test_a_codec_without_pictures_is_told_of(tmp_path: Path, photos: list[Path]) -> None:
    class Blind(ShadeCodec):
        emits = ShadeCodec.emits[:1]

    class BlindPlugin(ShadePlugin):
        @codecframe.hookimpl
        def codecframe_codecs(self) -> list[ToyCodec]:
            return [Blind()]

    registry.default().register(BlindPlugin(), "blind")
    found = run(tmp_path, photos[:1], codecs=["shade"])
    assert all(outcome.label for outcome in found.photos[0].outcomes)


def test_running_again_starts_anew(tmp_path: Path, photos: list[Path]) -> None:
    first = run(tmp_path, photos)
    again = run(tmp_path, photos[:2])
    assert len(first.photos) == 4 and len(again.photos) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"codecs": ["toyy"]}, UnknownNameError),
        ({"budgets": ["many"]}, BudgetError),
    ],
)
def test_bad_requests(
    tmp_path: Path, photos: list[Path], options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        run(tmp_path, photos, **options)


def test_a_folder_that_cannot_be_made(tmp_path: Path, photos: list[Path]) -> None:
    (tmp_path / "out").write_text("a file is in the way")
    with pytest.raises(OutputError):
        run(tmp_path, photos)


def test_photographs_are_found_without_importing_their_packages() -> None:
    code = (
        "import sys; from codecframe.evaluation import demo; paths = demo.installed_photos();"
        "print(len(paths), [n for n in ('skimage', 'sklearn', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, loaded = done.stdout.split(maxsplit=1)
    assert int(count) >= 1 and loaded.strip() == "[]"


def test_without_any_photographs_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pip install 'scikit-image'"):
        demo.installed_photos()


# -- detection: shapes drawn over the photographs ---------------------------------------------


def test_scenes_are_the_same_each_time_and_their_truth_can_be_read(
    tmp_path: Path, photos: list[Path]
) -> None:
    paths, truth = shapes.write_scenes(tmp_path / "scenes", photos)
    made = [path.read_bytes() for path in paths]
    assert shapes.write_scenes(tmp_path / "scenes", photos) == (paths, truth)
    assert [path.read_bytes() for path in paths] == made
    items = codecframe.open_images(paths, labels=truth, task=codecframe.get_task("detection"))
    for item in items:
        boxes = item.target
        assert len(boxes) and set(boxes.classes.tolist()) <= set(shapes.CLASSES)
        assert boxes.corners.min() >= 0 and boxes.corners.max() <= shapes.SIDE
    paths[0].write_text("years")
    with pytest.raises(OutputError, match="--force"):
        shapes.write_scenes(tmp_path / "scenes", photos)
    assert paths[0].read_text() == "years"


def test_a_shape_changes_what_is_in_its_box_and_nothing_else() -> None:
    grey = np.full((200, 240, 3), 128, np.uint8)
    scene = shapes.draw_scene(grey, np.random.default_rng(3), 5)
    assert len(scene.classes) == 5
    changed = (scene.image != grey).any(axis=2)
    for x0, y0, x1, y1 in scene.corners:
        box = np.s_[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1]
        assert changed[box].mean() > 0.3
        changed[box] = False
    assert not changed.any()


def test_a_detector_is_scored_by_the_truth(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    pytest.importorskip("onnxruntime")
    photographs = [path for path in demo.installed_photos() if path.stem in ("china", "rocket")]
    if not photographs:
        pytest.skip("none of these photographs is installed")
    paths, truth = shapes.write_scenes(tmp_path / "scenes", photographs)
    found = demo.run_demo(
        tmp_path / "out",
        codecs=["jpeg"],
        budgets=["2bpp", "0.03bpp"],
        head=str(shapes.DETECTOR),
        photos=paths,
        labels=truth,
    )
    assert found.metric == "mAP" and found.score is not None and found.score > 0.3
    assert 0 < found.scores["2bpp"]["jpeg"] <= 1
    assert found.scores["0.03bpp"]["jpeg"] == 0  # no photograph fits: nothing is seen
    for photo in found.photos:
        assert photo.label and photo.probability is None and photo.score is not None
        good, none = photo.outcomes
        assert good.score is not None and good.divergence is not None
        assert none.score is None and photo.winners["0.03bpp"] is None
    assert "mAP" in str(found)
    shown = np.asarray(Image.open(found.contact_sheet).convert("RGB"))
    assert not contains(shown, np.asarray(Image.open(paths[0])))  # boxes are drawn on it


def test_a_demonstration_of_an_unknown_task(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="detection"):
        codecframe.demo(tmp_path, "detektion")


def test_detection_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(DependencyError, match=r"codecframe\[detection\]"):
        codecframe.demo(tmp_path, "detection")
    assert not list(tmp_path.iterdir())
