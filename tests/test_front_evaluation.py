"""The front door: profile, select, tune, report, train and recipe, as a user's program has them."""

from __future__ import annotations

import gc
import inspect
import json
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image as PilImage
from toys import BrightnessHead, ToyCodec, picture

import codecframe
from codecframe.cli.groups import FunctionCommand
from codecframe.cli.main import cli
from codecframe.core.errors import (
    BudgetError,
    DataError,
    MismatchError,
    OutputError,
    UnknownNameError,
    UsageError,
)

IMAGES = [picture(seed) for seed in range(6)]
NAMES = ("profile", "select", "tune", "report", "train", "recipe", "learn", "adapt")
OWN = {"progress", "warn"}
"""Parameters of functions that say where to show things; a command has none of its own."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i, image in enumerate(IMAGES):
        PilImage.fromarray(image).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def profile(photos: Path) -> codecframe.Profile:
    return codecframe.profile(photos, BrightnessHead(), codecs=["jpeg", "webp"], rates=[1, 3])


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_a_function_with_the_same_parameters(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, FunctionCommand) and command.function == f"codecframe.{name}"
    typed = {one.name for one in command.params} - command.RENDERING
    assert typed == set(inspect.signature(getattr(codecframe, name)).parameters) - OWN


# -- profile ----------------------------------------------------------------------------------


def test_a_profile_shows_its_table(profile: codecframe.Profile) -> None:
    lines = repr(profile).splitlines()
    assert lines[0].split()[:4] == ["codec", "settings", "payload", "bpp"]
    assert len(lines) == 1 + len(profile.records()) == 5
    assert profile._repr_html_().count("<tr>") == 5
    assert profile.to_dict()["meta"]["head"] == "brightness"
    assert {row["codec"] for row in profile.records()} == {"jpeg", "webp"}
    json.dumps(profile.to_dict())


def test_a_profile_in_a_notebook_escapes_what_it_shows(tmp_path: Path) -> None:
    class Named(BrightnessHead):
        metric = "<b>"

    made = codecframe.profile(IMAGES[:2], Named(), codecs="jpeg", levels=[30])
    assert "<b>" not in made._repr_html_() and "&lt;b&gt;" in made._repr_html_()


def test_a_profile_without_output_goes_with_the_object(photos: Path) -> None:
    made = codecframe.profile(photos, BrightnessHead(), codecs="jpeg", levels=[30])
    path = made.path
    assert path.is_file()
    del made
    gc.collect()
    assert not path.exists() and not path.parent.exists()


def test_a_profile_with_output_stays_and_goes_on(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "p"
    options = {"codecs": ["jpeg"], "output": path}
    codecframe.profile(photos, BrightnessHead(), levels=[30], **options)
    again = codecframe.profile(photos, BrightnessHead(), levels=[60], **options)
    assert len(again.records()) == 2
    assert repr(codecframe.Profile(path)) == repr(again)
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(OutputError):
        codecframe.profile(
            photos, BrightnessHead(), codecs="jpeg", levels=[1], output=tmp_path / "notes"
        )
    with pytest.raises(OutputError, match="input"):
        first = photos / "0.png"
        codecframe.profile(
            photos, BrightnessHead(), codecs="jpeg", levels=[1], output=first, force=True
        )


@pytest.mark.parametrize("given", ["folder", "glob", "paths", "set", "arrays", "stack", "pictures"])
def test_images_are_taken_in_any_form(given: str, photos: Path) -> None:
    images = {
        "folder": photos,
        "glob": str(photos / "*.png"),
        "paths": sorted(photos.iterdir()),
        "set": codecframe.open_images(photos),
        "arrays": IMAGES,
        "stack": np.stack(IMAGES),
        "pictures": [PilImage.fromarray(image) for image in IMAGES],
    }[given]
    made = codecframe.profile(images, BrightnessHead(), codecs="jpeg", levels=[30])
    assert made.to_dict()["rows"][0]["n"] == len(IMAGES)


@pytest.mark.parametrize("kind", [int, np.int64, str])
def test_labels_may_be_a_sequence(kind: type) -> None:
    truth = BrightnessHead().predict(IMAGES).scores.argmax(axis=1)
    labels = [BrightnessHead.labels[i] if kind is str else kind(i) for i in truth]
    made = codecframe.profile(IMAGES, BrightnessHead(), codecs="jpeg", levels=[90], labels=labels)
    assert made.meta["labelled"] and made.records()[0]["score"] == 1.0


@pytest.mark.parametrize("labels", [[1, 2], [1.5] * 6, [None] * 6, [-1] * 6])
def test_wrong_labels_are_refused(labels: list[object]) -> None:
    with pytest.raises(MismatchError):
        codecframe.profile(IMAGES, BrightnessHead(), codecs="jpeg", levels=[9], labels=labels)


def test_a_codec_that_no_plugin_brings_is_taken_as_an_object() -> None:
    class Mine(ToyCodec):
        name = "mine-alone"

    made = codecframe.profile(IMAGES, BrightnessHead(), codecs=[Mine(), "jpeg"], rates=[8])
    chosen = made.select("12bpp", codecs=["mine-alone"])
    assert chosen.winner is not None and chosen.pipeline().codec.name == "mine-alone"

    class Jpeg(ToyCodec):
        name = "jpeg"

    with pytest.raises(MismatchError, match="jpeg"):
        codecframe.profile(IMAGES, BrightnessHead(), codecs=[Jpeg()], rates=[8])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"codecs": "jpg"}, UnknownNameError),
        ({"head": "no-such-head"}, UnknownNameError),
        ({"budget": "lots"}, BudgetError),
        ({"images": "no/such/folder"}, DataError),
        ({"images": [np.zeros((4, 4))], "codecs": "jpeg"}, DataError),
    ],
)
def test_wrong_arguments_are_told(changes: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        codecframe.profile(**{"images": IMAGES, "head": BrightnessHead(), **changes})


# -- select -----------------------------------------------------------------------------------


def test_a_choice_becomes_a_pipeline_that_keeps_the_budget(profile: codecframe.Profile) -> None:
    choice = profile.select("3bpp")
    pipeline = choice.pipeline()
    assert choice.winner is not None and pipeline.codec.name == choice.winner.codec
    assert pipeline.head is not None and pipeline.head.name == "brightness"
    assert pipeline(IMAGES).scores.shape == (len(IMAGES), 10)
    for image in IMAGES:
        pixels = image.shape[0] * image.shape[1]
        assert 8 * pipeline.encode(image).size <= 3 * pixels


def test_a_choice_for_the_average_becomes_what_was_measured(profile: codecframe.Profile) -> None:
    choice = profile.select("3bpp", mean=True)
    pipeline = choice.pipeline()
    assert choice.winner is not None
    assert pipeline.settings.to_dict() == choice.winner.settings
    sizes = [found.size for found in pipeline.encode_many(IMAGES)]
    assert np.mean(sizes) == pytest.approx(choice.winner.bytes_per_image)


def test_a_choice_shows_itself(profile: codecframe.Profile) -> None:
    choice = profile.select("3bpp")
    assert choice.winner is not None
    lines = repr(choice).splitlines()
    assert lines[0] == choice.winner.label and "why" in repr(choice)
    assert "<table>" in choice._repr_html_()
    values = choice.to_dict()
    json.dumps(values)
    assert values["winner"]["codec"] == choice.winner.codec and "judges" not in values
    assert [row["chosen"] for row in choice.records()] == [True, False]
    frame = pytest.importorskip("pandas") and choice.to_pandas()
    assert list(frame.codec) == [one.codec for one in choice.candidates]


def test_where_nothing_fits_there_is_no_pipeline(profile: codecframe.Profile) -> None:
    choice = profile.select("1B")
    assert choice.winner is None and "Nothing meets" in repr(choice)
    with pytest.raises(MismatchError, match="nothing meets 1B"):
        choice.pipeline()


def test_select_takes_images_profiles_and_files(
    photos: Path, profile: codecframe.Profile, tmp_path: Path
) -> None:
    path = tmp_path / "kept.profile"
    choice = codecframe.select(
        photos, head=BrightnessHead(), budget="3bpp", codecs=["jpeg"], output=path
    )
    assert choice.winner is not None and choice.pipeline().head is not None
    for profiles in (path, str(path), [path], codecframe.Profile(path)):
        again = codecframe.select(profiles, budget="3bpp")
        assert again.to_dict() == codecframe.select(profiles=profiles, budget="3bpp").to_dict()
        assert again.candidates == choice.candidates
    # a file knows its head by name; where that is not enough, it is given
    with pytest.raises(UnknownNameError, match="brightness"):
        codecframe.select(path, budget="3bpp").pipeline()
    assert codecframe.select(path, budget="3bpp").pipeline(BrightnessHead()).head is not None


def test_select_says_what_it_lacks(photos: Path, profile: codecframe.Profile) -> None:
    with pytest.raises(UsageError, match="profiles or images"):
        codecframe.select(budget="1bpp")
    with pytest.raises(UsageError, match="profiles or images"):
        codecframe.select(photos, profiles=profile, head=BrightnessHead(), budget="1bpp")
    with pytest.raises(UsageError, match="images needs head"):
        codecframe.select(photos, budget="1bpp")


# -- report -----------------------------------------------------------------------------------


def test_a_report_is_saved_and_shown(profile: codecframe.Profile, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    made = profile.report(budget="3bpp")
    assert made.html.startswith("<!doctype html>") and made.selection is not None
    made.save(tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == made.html
    made.save(tmp_path / "r.html")  # its own
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(OutputError):
        made.save(tmp_path / "mine.html")
    made.save(tmp_path / "mine.html", force=True)
    with pytest.raises(OutputError):
        made.save(profile.path, force=True)
    assert len(repr(made)) < 2000 and "3bpp" in repr(made)
    frame = made._repr_html_()
    assert frame.startswith("<iframe") and frame.count("<") == 2  # all of the page is escaped
    assert 'sandbox="allow-scripts"' in frame
    assert made.pictures._repr_jpeg_().startswith(b"\xff\xd8")
    made.pictures.save(tmp_path / "sheet.png")
    with PilImage.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * 160  # uncompressed, jpeg, webp


def test_report_writes_where_it_is_told(profile: codecframe.Profile, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    made = codecframe.report(profile, output=tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == made.html
    with pytest.raises(OutputError):
        codecframe.report(profile.path, output=profile.path, force=True)


def test_a_plot_is_shown_and_saved(profile: codecframe.Profile, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = profile.plot()
    assert "<svg" in plot._repr_mimebundle_()["image/svg+xml"]
    for name in ("p.svg", "p.png"):
        plot.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    with pytest.raises(OutputError, match=r"\.svg or \.png"):
        plot.save(tmp_path / "p.jpg")


# -- tune, train, recipe ----------------------------------------------------------------------


def test_tune_returns_a_preset_and_writes_where_it_is_told(tmp_path: Path) -> None:
    images = [picture(seed) for seed in range(16)]
    options = {"budget": "3bpp", "trials": 2, "settings": {"optimize": True}}
    found = codecframe.tune("jpeg", images, BrightnessHead(), **options)
    assert found.path is None and found.preset.codec == "jpeg"
    assert "held-out" in repr(found) and "<table>" in found._repr_html_()
    assert len(found.records()) == 5
    json.dumps(found.to_dict())
    path = tmp_path / "jpeg.yaml"
    written = codecframe.tune("jpeg", images, BrightnessHead(), output=path, **options)
    assert written.path == path and path.with_suffix(".trials").is_file()
    command = written.preset.made["command"]
    assert command.startswith("codecframe tune jpeg") and "--budget 3bpp" in command
    assert codecframe.encode(images[0], "jpeg", preset=path)
    with pytest.raises(UsageError, match="held_out"):
        codecframe.tune("jpeg", images, BrightnessHead(), group="folder", held_out=["x"], **options)


def test_recipe_returns_the_table(tmp_path: Path, photos: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "shades_of.py").write_text(
        "import numpy as np\n"
        "def classify(images):\n"
        "    means = np.array([[np.mean(image)] for image in images], dtype=np.float32)\n"
        "    return -((means - np.arange(10) * 25.6) / 8) ** 2\n"
    )
    (tmp_path / "toy.yaml").write_text(
        f"kind: profile\nname: toy\nimages: ['{photos.name}']\nrates: [1, 3]\naccounting: bare\n"
        "runs: [{head: 'shades_of:classify', codecs: [jpeg]}]\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        found = codecframe.recipe(
            tmp_path / "toy.yaml", results=tmp_path / "out", data_root=photos.parent
        )
    finally:
        sys.path.remove(str(tmp_path))
    assert {row["accounting"] for row in found.records()} == {"payload"}
    assert "jpeg" in repr(found) and "<svg" in found._repr_html_()


def test_train_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("kind: nothing\nname: x\nimages: [a]\n")
    with pytest.raises(UnknownNameError, match="nothing"):
        codecframe.train(tmp_path / "r.yaml", changes={"epochs": 1})
    with pytest.raises(DataError):
        codecframe.train(tmp_path / "none.yaml")
