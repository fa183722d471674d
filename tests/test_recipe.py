"""Recipes of kind `profile`: one file makes one table and its plot."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from toys import items, toy_registry

from codecframe import DataError, UnknownNameError
from codecframe.core.errors import OutputError
from codecframe.training.tables import run_recipe

RECIPE = """
kind: profile
name: toys
images: [pictures]
labels: labels.csv
rates: [1.5, 4]
compare: bland
uncompressed: toy
data: toy pictures
runs:
  - {head: brightness, training: clean, codecs: [bland]}
  - {head: brightness, training: joint, codecs: [toy]}
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A data root with a recipe."""
    (tmp_path / "pictures").mkdir()
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label"])
        for item in items(24, labelled=True):
            PIL.Image.fromarray(item.image).save(tmp_path / "pictures" / item.name)
            rows.writerow([f"pictures/{item.name}", item.target])
    (tmp_path / "toys.yaml").write_text(RECIPE)
    with toy_registry():
        yield tmp_path


def rows_of(root: Path) -> dict[str, list[dict[str, Any]]]:
    target = run_recipe(root / "toys.yaml", root / "results", root)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(target.read_text())["rows"]:
        found.setdefault(row["codec"], []).append(row)
    return found


@pytest.mark.parametrize("name", ["toys.json", "toys.svg", "toys.png", "toys-1.profile"])
def test_what_no_recipe_made_is_left_alone(root: Path, name: str) -> None:
    path = root / "results" / name
    path.parent.mkdir()
    path.write_text('{"rows": "years"}')
    with pytest.raises(OutputError, match="--force"):
        rows_of(root)
    assert path.read_text() == '{"rows": "years"}'
    run_recipe(root / "toys.yaml", root / "results", root, force=True)
    assert rows_of(root)["toy"]


def test_a_recipe_makes_table_and_plot(root: Path) -> None:
    rows = rows_of(root)
    assert len(rows["toy"]) == 2 and rows["bland"]
    for row in [*rows["toy"], *rows["bland"]]:
        assert row["n"] == 24 and row["data"] == "toy pictures" and row["accounting"] == "payload"
        assert row["low"] <= row["top1"] <= row["high"] and row["top1"] <= row["top5"] <= 1
    whole = max(row["top1"] for row in rows["toy"])
    assert all(abs(row["kept"] - row["top1"] / whole) < 2e-4 for row in rows["bland"])
    assert rows["toy"][0]["training"] == "joint" and "strength" in rows["toy"][0]["settings"]
    assert "<svg" in (root / "results/toys.svg").read_text()
    assert PIL.Image.open(root / "results/toys.png").width > 300


def test_points_are_compared_at_no_more_bits(root: Path) -> None:
    rows = rows_of(root)
    assert not any("compared" in row for row in rows["bland"])
    for row in rows["toy"]:
        fitting = [mine for mine in rows["bland"] if mine["bpp"] <= row["bpp"]]
        if not fitting:
            assert row["compared"] is None
            continue
        best = max(fitting, key=lambda mine: mine["bpp"])
        compared = row["compared"]
        assert compared["bpp"] == best["bpp"]
        assert compared["more"] == pytest.approx(best["top1"] - row["top1"], abs=2e-4)
        assert compared["low"] <= compared["more"] <= compared["high"]
        assert 0 <= compared["p"] <= 1
    assert any(row["compared"] for row in rows["toy"])


def test_settings_are_compared_with_the_defaults(root: Path) -> None:
    (root / "toys.yaml").write_text(
        RECIPE.replace("codecs: [toy]", 'codecs: [toy, "toy:effort=0"]')
    )
    plain, uncompressed = [], []
    for row in rows_of(root)["toy"]:
        (uncompressed if "effort" in row["settings"] else plain).append(row)
    assert plain and not any("defaults" in row for row in plain)
    assert uncompressed and all(set(row["defaults"]) == {"more", "saved"} for row in uncompressed)


def test_presets_of_ones_own_go_by_the_names_of_their_files(root: Path) -> None:
    path = root / "mine.yaml"
    path.write_text("{codec: toy, settings: {effort: 0}}")
    (root / "toys.yaml").write_text(
        RECIPE.replace("codecs: [toy]", f'codecs: [toy, "toy:preset={path}"]')
    )
    assert {row["label"] for row in rows_of(root)["toy"]} == {"toy", "toy preset=mine"}


def test_a_preset_that_changes_nothing_goes_by_the_name_of_the_defaults(root: Path) -> None:
    path = root / "vain.yaml"
    path.write_text("{codec: toy, settings: {}}")
    (root / "toys.yaml").write_text(RECIPE.replace("[toy]", f'[toy, "toy:preset={path}"]'))
    assert {row["label"] for row in rows_of(root)["toy"]} == {"toy"}


def test_a_changed_recipe_goes_on_from_what_was_measured(root: Path) -> None:
    for codecs in ('"toy:effort=0", bland', "toy, bland", 'toy, "toy:effort=0"'):
        run = f"  - {{head: brightness, codecs: [{codecs}]}}\n"
        (root / "toys.yaml").write_text(RECIPE.partition("  - {")[0] + run)
        labels = [row["label"] for rows in rows_of(root).values() for row in rows]
        wanted = codecs.replace('"', "").replace(":", " ").split(", ")
        assert list(dict.fromkeys(labels)) == wanted


def test_a_note_tells_runs_of_one_codec_apart(root: Path) -> None:
    again = "  - {head: brightness, training: joint, note: joint again, codecs: [toy]}\n"
    (root / "toys.yaml").write_text(RECIPE + again)
    rows = rows_of(root)
    assert {row["label"] for row in rows["toy"]} == {"toy joint", "toy joint again"}
    assert {row["label"] for row in rows["bland"]} == {"bland"}


def test_a_run_may_have_rates_of_its_own(root: Path) -> None:
    (root / "toys.yaml").write_text(RECIPE.replace("codecs: [toy]", "codecs: [toy], rates: [3]"))
    assert len(rows_of(root)["toy"]) == 1


def test_a_run_names_the_head_whose_defaults_its_settings_are_set_beside(root: Path) -> None:
    run = 'training: joint, beside: brightness, codecs: ["toy:effort=0"]'
    recipe = RECIPE.replace("training: joint, codecs: [toy]", run)
    first = "  - {head: brightness, training: clean, codecs: [toy]}\n"
    (root / "toys.yaml").write_text(recipe.replace("runs:\n", "runs:\n" + first))
    rows = [row for row in rows_of(root)["toy"] if row["training"] == "joint"]
    assert rows and all("defaults" in row for row in rows)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: profile", "kind: tuna", "kind"),
        ("rates: [1.5, 4]\n", "", "rates"),
        ("compare: bland", "compares: bland", "compares"),
        ("images: [pictures]", "images: [nowhere]", "nowhere"),
        ("training: joint", "beside: another", "has no run of the head 'another'"),
    ],
)
def test_wrong_recipes_are_refused(root: Path, old: str, new: str, message: str) -> None:
    (root / "toys.yaml").write_text(RECIPE.replace(old, new))
    with pytest.raises(DataError, match=message):
        run_recipe(root / "toys.yaml", root / "results", root)


def test_a_head_that_is_missing_is_told_before_anything_is_measured(root: Path) -> None:
    (root / "toys.yaml").write_text(RECIPE.replace("brightness, training: joint", "dark-side"))
    with pytest.raises(UnknownNameError, match="dark-side"):
        run_recipe(root / "toys.yaml", root / "results", root)
    assert not (root / "results").exists()


def test_recipes_whose_models_are_missing_are_named(root: Path) -> None:
    (root / "dark.yaml").write_text("{kind: classifier, name: dark}")
    (root / "toys.yaml").write_text(RECIPE.replace("brightness, training: joint", "dark.onnx"))
    with pytest.raises(DataError, match=r"`codecframe train` first for .*dark\.yaml$"):
        run_recipe(root / "toys.yaml", root / "results", root)
