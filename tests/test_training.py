"""Training recipes, by a stranger's trainer: what it is given, what is gone on from, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image as PilImage

import codecframe
from codecframe.core import registry
from codecframe.core.errors import OutputError
from codecframe.core.files import write_whole
from codecframe.training import run_training


@dataclass(frozen=True, kw_only=True)
class MeanSettings(codecframe.Settings):
    """Of the trainer of means."""

    epochs: int = codecframe.option(3, low=1, help="passes")
    rate: float = codecframe.option(0.5, low=0.0, high=1.0, help="learning rate")


class MeanTrainer(codecframe.Trainer[MeanSettings]):
    """Learns the mean brightness of each class, slowly."""

    kind = "means"
    summary = "mean brightness of each class"
    suffix = ".json"
    settings_type = MeanSettings
    runs: list[codecframe.TrainingRun]

    def __init__(self) -> None:
        self.runs = []
        self.epochs = 0

    def train(self, settings: MeanSettings, run: codecframe.TrainingRun) -> None:
        self.runs.append(run)
        last = run.folder / "last.json"
        first, means = json.loads(last.read_text()) if last.exists() else (0, [0.0] * 99)
        with run.progress(settings.epochs) as display:
            display.advance(first, "resumed")
            for epoch in range(first, settings.epochs):
                for image in run.images:
                    assert isinstance(image.target, int)
                    error = float(image.read().mean()) - means[image.target]
                    means[image.target] += settings.rate * error
                self.epochs += 1
                write_whole(last, json.dumps([epoch + 1, means]))
                display.advance(1, f"epoch {epoch + 1}")
        model = {"classes": run.classes, "means": means[: len(run.classes)], "recipe": run.recipe}
        write_whole(run.output, json.dumps(model))


class Hungry(MeanTrainer):
    kind = "hungry"
    requires = {"no_such_package_xyz": "stranger[all]"}  # noqa: RUF012


class Counter(codecframe.Trainer[MeanSettings]):
    """Trained on images with boxes, of which it takes no notice."""

    kind = "counter"
    suffix = ".json"
    settings_type = MeanSettings

    def task_of(self, settings: MeanSettings) -> codecframe.Task:
        return codecframe.get_task("detection")

    def train(self, settings: MeanSettings, run: codecframe.TrainingRun) -> None:
        targets = [image.target for image in run.images]
        write_whole(run.output, json.dumps({"targets": targets, "classes": run.classes}))


class Stranger:
    """The plugin."""

    def __init__(self) -> None:
        self.trainer = MeanTrainer()

    @codecframe.hookimpl
    def codecframe_trainers(self) -> list[codecframe.Trainer[Any]]:
        return [self.trainer, Hungry(), Counter()]


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Iterator[MeanTrainer]:
    """A stranger's trainer, in a registry of its own."""
    plugin, own = Stranger(), registry.Registry()
    own.register(plugin, "stranger")
    monkeypatch.setattr(registry, "default", lambda: own)
    yield plugin.trainer
    assert not any(info.errors for info in own.plugins())


@pytest.fixture
def train(trainer: MeanTrainer, tmp_path: Path) -> Callable[..., Path]:
    """Run a recipe over six images in the folders `dark` and `light`."""
    shade(tmp_path / "data" / "set", dark=10, light=200)

    def call(*changes: str, progress: Any = None, **keys: Any) -> Path:
        recipe = {"kind": "means", "name": "shades", "images": ["set"], "labels": "folders"}
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**recipe, **keys}))
        more = {} if progress is None else {"progress": progress}
        return run_training(path, tmp_path / "models", tmp_path / "data", changes=changes, **more)

    return call


def shade(folder: Path, **brightness: int) -> None:
    """Three images in each of these folders."""
    for name, value in brightness.items():
        (folder / name).mkdir(parents=True)
        for i in range(3):
            image = np.full((8, 8, 3), value + i, np.uint8)
            PilImage.fromarray(image).save(folder / name / f"{i}.png")


# -- what is there ---------------------------------------------------------------------------


@pytest.mark.parametrize("theirs", ["shades.json", "shades.log/notes.txt"])
def test_what_no_training_made_is_left_alone(
    train: Callable[..., Path], tmp_path: Path, theirs: str
) -> None:
    path = tmp_path / "models" / theirs
    path.parent.mkdir(parents=True)
    path.write_text("years")
    with pytest.raises(OutputError, match="--force"):
        train()
    assert path.read_text() == "years"
    path.unlink()
    assert train() == train()


# -- what a trainer is given ---------------------------------------------------------------


def test_a_strangers_trainer_makes_a_model(
    train: Callable[..., Path], trainer: MeanTrainer, tmp_path: Path
) -> None:
    path = train("rate=1", epochs=2)
    assert path == tmp_path / "models" / "shades.json"
    model = json.loads(path.read_text())
    assert model["classes"] == ["dark", "light"]
    assert model["means"] == [12, 202]
    assert model["recipe"] == {
        "kind": "means",
        "name": "shades",
        "images": ["set"],
        "labels": "folders",
        "epochs": 2,
        "rate": 1.0,
    }
    run = trainer.runs[0]
    assert (run.name, run.output) == ("shades", path)
    assert run.folder == tmp_path / "models" / "shades.log"
    assert [image.target for image in run.images] == [0, 0, 0, 1, 1, 1]


def test_images_are_chosen_as_elsewhere(train: Callable[..., Path], tmp_path: Path) -> None:
    lines = ["file,label,use", "dark/0.png,night,yes", "light/1.png,day,yes", "light/2.png,day,no"]
    (tmp_path / "data" / "labels.csv").write_text(
        "\n".join([lines[0], *(f"set/{line}" for line in lines[1:])])
    )
    model = json.loads(train(labels="labels.csv", where={"use": "yes"}).read_text())
    assert model["classes"] == ["day", "night"]
    assert model["means"] == pytest.approx([201 * 7 / 8, 10 * 7 / 8])
    assert json.loads(train(name="few", limit=2).read_text())["recipe"]["limit"] == 2


def test_digits_are_class_indices(
    train: Callable[..., Path], trainer: MeanTrainer, tmp_path: Path
) -> None:
    shade(tmp_path / "data" / "digits", **{"00001": 50, "00010": 90, "2": 20})
    model = json.loads(train(images=["digits"]).read_text())
    assert model["classes"] == [str(i) for i in range(11)]
    assert [image.target for image in trainer.runs[0].images] == [1, 1, 1, 10, 10, 10, 2, 2, 2]


def test_truth_of_another_task_chooses_images(train: Callable[..., Path], tmp_path: Path) -> None:
    rows = ["dark/0.png,a,dog,0,0,4,4", "dark/0.png,a,cat,1,1,4,4", "light/1.png,b,dog,0,0,4,4"]
    table = "\n".join(["file,split,label,x0,y0,x1,y1", *rows, "dark/2.png,a,,,,,"])
    (tmp_path / "data" / "set" / "boxes.csv").write_text(table)
    path = train(kind="counter", labels="set/boxes.csv", where={"split": "a"})
    assert json.loads(path.read_text()) == {"targets": [None, None], "classes": []}


def test_labels_may_be_missing_from_all_images(
    train: Callable[..., Path], trainer: MeanTrainer
) -> None:
    with pytest.raises(AssertionError):  # this trainer needs them
        train(labels=None)
    assert trainer.runs[0].classes == ()
    assert [image.target for image in trainer.runs[0].images] == [None] * 6


# -- stopping and going on -----------------------------------------------------------------


class Stopping:
    """Progress that stops the run in the middle of it, as Ctrl-C does."""

    def __init__(self, total: int) -> None:
        self.done: list[tuple[int, str]] = []
        self.total = total

    def __enter__(self) -> Stopping:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, count: int, note: str) -> None:
        self.done.append((count, note))
        if sum(count for count, _ in self.done) == 2 and count:
            raise KeyboardInterrupt


class Counting(Stopping):
    """Progress that is kept."""

    last: Counting

    def __init__(self, total: int) -> None:
        super().__init__(total)
        type(self).last = self

    def advance(self, count: int, note: str) -> None:
        self.done.append((count, note))


def test_a_stopped_run_goes_on_to_the_same_model(
    train: Callable[..., Path], trainer: MeanTrainer, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(epochs=5, progress=Stopping)
    assert trainer.epochs == 2
    assert not (tmp_path / "models" / "shades.json").exists()
    model = json.loads(train(epochs=5, progress=Counting).read_text())
    assert trainer.epochs == 5
    assert Counting.last.total == 5
    assert Counting.last.done[0] == (2, "resumed")
    assert sum(count for count, _ in Counting.last.done) == 5
    whole = json.loads(train(epochs=5, name="whole").read_text())
    assert whole["means"] == model["means"]


# -- refusals --------------------------------------------------------------------------------


def test_an_unknown_kind_gets_the_nearest(train: Callable[..., Path]) -> None:
    with pytest.raises(codecframe.UnknownNameError, match="'maens'; did you mean 'means'"):
        train(kind="maens")


def test_settings_are_named_where_they_are_wrong(train: Callable[..., Path]) -> None:
    with pytest.raises(codecframe.SettingsError, match=r"'epoch'.*did you mean 'epochs'"):
        train(epoch=3)
    with pytest.raises(codecframe.SettingsError, match=r"'rate' is 2.*from 0.0 to 1.0"):
        train(rate=2)
    with pytest.raises(codecframe.SettingsError, match="'rate' is 'x'"):
        train("rate=x")
    with pytest.raises(codecframe.SettingsError, match="'name'"):
        train("name=other")


def test_a_missing_package_is_said_before_anything_is_made(
    train: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(codecframe.DependencyError, match=r"pip install 'stranger\[all\]'"):
        train(kind="hungry")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("key", ["kind", "name", "images"])
def test_a_recipe_says_kind_name_and_images(train: Callable[..., Path], key: str) -> None:
    for nothing in ("", None, []):
        with pytest.raises(
            codecframe.DataError,
            match=f"recipe.yaml: '{key}' is .*expected (text|a list|one or more)",
        ):
            train(**{key: nothing})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", 3),
        ("kind", ["means"]),
        ("name", 2024),
        ("name", "../shades"),
        ("name", "a/b"),
        ("images", "set"),
        ("images", [3]),
        ("labels", 7),
        ("labels", ["folders"]),
        ("where", "use"),
        ("where", {"year": 2020}),
        ("limit", "few"),
        ("limit", 0),
        ("limit", True),
    ],
)
def test_keys_of_a_wrong_type_are_named(
    train: Callable[..., Path], tmp_path: Path, key: str, value: Any
) -> None:
    with pytest.raises(codecframe.DataError, match=f"recipe.yaml: '{key}' is "):
        train(**{key: value})
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"kind: means\nname: [", "line 2|line 3"),
        (b"kind: means\n\tname: x", "line 2"),
        (b"- a list", "expected a mapping"),
        (b"", "expected a mapping"),
        (b"\xff\xfe\x00", "decode|UTF-8"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(
    trainer: MeanTrainer, tmp_path: Path, text: bytes, message: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(text)
    with pytest.raises(codecframe.DataError, match=rf"bad\.yaml: .*({message})"):
        run_training(path, tmp_path)
    with pytest.raises(codecframe.DataError, match=r"none\.yaml"):
        run_training(tmp_path / "none.yaml", tmp_path)


def test_a_recipe_extends_another(
    train: Callable[..., Path], trainer: MeanTrainer, tmp_path: Path
) -> None:
    train(epochs=5, rate=0.25)
    (tmp_path / "more").mkdir()
    texts = {
        "more/short.yaml": "extends: ../recipe.yaml\nname: short\nepochs: 1\n",
        "more/shorter.yaml": "extends: short.yaml\nname: shorter\nrate: 1.0\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        run_training(tmp_path / name, tmp_path / "models", tmp_path / "data")
    said = [(run.name, run.recipe["epochs"], run.recipe["rate"]) for run in trainer.runs]
    assert said == [("shades", 5, 0.25), ("short", 1, 0.25), ("shorter", 1, 1.0)]
    assert all("extends" not in run.recipe and len(run.images) == 6 for run in trainer.runs)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("extends: own.yaml", r"own\.yaml: extends 'own\.yaml', which extends it"),
        ("extends: base.yaml", r"base\.yaml: extends 'own\.yaml', which extends it"),
        ("extends: none.yaml", r"none\.yaml: .*No such file"),
        ("extends: [base.yaml]", r"own\.yaml: 'extends' is \['base\.yaml'\]: expected text"),
        ("extends: list.yaml", r"list\.yaml: .*expected a mapping"),
    ],
)
def test_what_cannot_be_extended_is_named(
    trainer: MeanTrainer, tmp_path: Path, base: str, message: str
) -> None:
    (tmp_path / "base.yaml").write_text("extends: own.yaml\nkind: means\n")
    (tmp_path / "list.yaml").write_text("- means\n")
    (tmp_path / "own.yaml").write_text(f"{base}\nname: own\n")
    with pytest.raises(codecframe.DataError, match=message):
        run_training(tmp_path / "own.yaml", tmp_path)


def test_labels_that_make_no_classes_are_refused(
    train: Callable[..., Path], tmp_path: Path
) -> None:
    """Numbers and names would number classes in two ways; a date would make millions of them."""
    shade(tmp_path / "data" / "mixed", **{"1": 3, "2": 4, "background": 5})
    with pytest.raises(codecframe.MismatchError, match=r"1.*background"):
        train(images=["mixed"])
    shade(tmp_path / "data" / "dates", **{"20240101": 3, "20240102": 4})
    with pytest.raises(codecframe.MismatchError, match="20240102"):
        train(images=["dates"])
    with pytest.raises(codecframe.DataError, match="none: no such"):
        train(images=["none"])


def test_a_folder_that_cannot_be_made_is_told(train: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(OutputError, match="models"):
        train()
