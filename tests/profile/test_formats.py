"""Profiles of earlier formats, and profiles whose codecs are not installed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from toyprofiles import make_table
from toys import BrightnessHead, toy_registry

from codecframe.core import registry
from codecframe.core.errors import DataError, MismatchError, UnknownNameError
from codecframe.evaluation.profile import Plan, ProfileTable, profile_images
from codecframe.evaluation.report import make_report
from codecframe.evaluation.select import select
from codecframe.rate import Accounting, Budget

FIRST = Path(__file__).parents[1] / "fixtures" / "profiles" / "first-edition.profile"
"""Of format 2: two codecs at 2 and 4 bpp and for 3bpp, over three images of 32x24."""
FOLDER = FIRST.parent / "photos"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return Path(shutil.copy(FIRST, tmp_path / "first.profile"))


def shades(batch: object) -> np.ndarray:
    means = np.array([[np.mean(image) for image in batch]], np.float32).T
    return -(((means - np.arange(10, dtype=np.float32) * 25.6) / 8) ** 2)


class Shades(BrightnessHead):
    """The head of the fixture."""

    name = "shades:classify"
    labels = tuple(map(str, range(10)))

    def predict(self, batch):
        import codecframe

        return codecframe.Prediction(shades(batch), self.labels)


def version_of(path: Path) -> tuple[str, set[str]]:
    with closing(sqlite3.connect(path)) as file:
        (made,) = file.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
        columns = {row[1] for row in file.execute("PRAGMA table_info(measurements)")}
    return made, columns & {"bare_bytes", "payload_bytes"}


def test_a_profile_of_format_2_is_read_as_it_is(first: Path) -> None:
    before = first.read_bytes()
    os.chmod(first, 0o444)
    with ProfileTable.open(first) as table:
        rows = {(row.point.codec, row.point.mode): row for row in table.rows()}
        assert rows["jpeg", "cap"].point.accounting == "payload"
        assert 0 < rows["jpeg", "cap"].payload_bytes < rows["jpeg", "cap"].file_bytes
        found = select(table, Budget.parse("3bpp"))
        assert found.winner is not None and found.winner.bpp <= 3
        # the points that were measured for this very budget answer
        assert {one.knob.partition("=")[0] for one in found.candidates} == {"quality"}
        assert select(table, Budget.parse("4bpp", mode="mean"), Accounting.FILE).candidates
        pytest.importorskip("matplotlib")
        assert "<svg" in make_report(table, found).html
    assert first.read_bytes() == before
    os.chmod(first, 0o644)  # so that Windows can remove it


def test_a_run_goes_on_with_a_profile_of_format_2(first: Path) -> None:
    from codecframe.images import open_images

    items, head = open_images(FOLDER), Shades()
    plan = Plan(codecs=["jpeg"], rates=[2, 4], budget=Budget.parse("3bpp"))
    with ProfileTable.open(first) as table:
        old = {row.point.key: row.payload_bytes for row in table.rows()}
    with profile_images(first, items, head, plan) as table:
        assert {row.point.key: row.payload_bytes for row in table.rows()} == old
    assert version_of(first) == ("5", {"payload_bytes"})
    with profile_images(first, items, head, Plan(codecs=["jpeg"], levels=[7])) as table:
        assert len(table.rows()) == len(old) + 1


def test_a_profile_of_format_2_of_something_else_stays_as_it_is(first: Path) -> None:
    from codecframe.images import open_images

    with pytest.raises(MismatchError, match="images 3, not 2"):
        profile_images(first, open_images(FOLDER)[:2], Shades(), Plan(codecs=["jpeg"], levels=[7]))
    assert version_of(first) == ("2", {"bare_bytes"})


def test_a_run_goes_on_with_a_profile_of_format_4(tmp_path: Path) -> None:
    path = tmp_path / "toys.profile"
    with toy_registry():
        make_table(path).close()
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("ALTER TABLE measurements DROP COLUMN picture_bytes")
            file.execute("UPDATE meta SET value = '4' WHERE key = 'format'")
        with ProfileTable.open(path) as table:
            rows = table.rows()
            assert {row.picture_bytes for row in rows} == {0.0}
            meta = table.meta
        with pytest.raises(MismatchError, match="made with head"):
            ProfileTable.create(path, {**meta, "head": "another"})
        with ProfileTable.create(path, {**meta, "format": 5}) as table:
            assert table.rows() == rows and table.meta["format"] == 5


@pytest.fixture
def toys(tmp_path: Path) -> Iterator[Path]:
    """A profile of codecs that are not installed."""
    path = tmp_path / "toys.profile"
    with toy_registry():
        make_table(path).close()
    with pytest.raises(UnknownNameError):
        registry.default().codec("toy")
    yield path


@pytest.mark.parametrize(
    "budget", [Budget.parse("4bpp"), Budget.parse("2bpp"), Budget.parse("4bpp", mode="mean")]
)
def test_select_needs_no_codec(toys: Path, budget: Budget) -> None:
    with ProfileTable.open(toys) as table:
        without = select(table, budget)
        with toy_registry():
            assert select(table, budget) == without
    assert "effort=1" in {one.words for one in without.candidates}
    assert without.winner is not None and "strength=" in without.winner.label


def test_a_report_needs_no_codec(toys: Path) -> None:
    pytest.importorskip("matplotlib")
    with ProfileTable.open(toys) as table:
        page = make_report(table, select(table, Budget.parse("4bpp"))).html
    assert "strength=140" in page and "cannot be shown" in page


def test_the_choice_of_a_codec_that_is_not_installed_names_it(toys: Path) -> None:
    with ProfileTable.open(toys) as table:
        found = select(table, Budget.parse("4bpp"))
    with pytest.raises(UnknownNameError, match="toy"):
        found.pipeline(BrightnessHead())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("ladder", "[1, 2"),
        ("ladder", '["a"]'),
        ("ladder", "[NaN]"),
        ("ladder", "[]"),
        ("ladder", "[1]"),  # fewer than the levels that were measured
        ("ladder", str(list(range(257)))),
        ("ladder", "{}"),
        ("knob", ""),
        ("words", b"\xff"),
        ("latents", 2),
    ],
)
def test_wrong_descriptions_are_refused(toys: Path, column: str, value: object) -> None:
    with closing(sqlite3.connect(toys)) as file, file:
        file.execute(f"UPDATE descriptions SET {column} = ?", (value,))
    with pytest.raises(DataError):
        ProfileTable.open(toys)


def test_what_is_said_of_a_point_is_merged_with_it(toys: Path, tmp_path: Path) -> None:
    with (
        ProfileTable.open(toys) as there,
        ProfileTable.create(
            tmp_path / "here", {key: v for key, v in there.meta.items() if key != "format"}
        ) as here,
    ):
        here.merge(there)
        assert sorted(map(str, here.descriptions().values())) == sorted(
            map(str, there.descriptions().values())
        )


def test_a_profile_of_format_3_is_read_and_gone_on_with(tmp_path: Path) -> None:
    from codecframe.images import open_images

    items, head, path = open_images(FOLDER), Shades(), tmp_path / "third.profile"
    plan = Plan(codecs=["jpeg"], levels=[30, 60])
    profile_images(path, items, head, plan).close()
    with closing(sqlite3.connect(path)) as file, file:  # as it was before there were tasks
        file.execute("ALTER TABLE measurements DROP COLUMN record")
        file.execute("UPDATE meta SET value = '3' WHERE key = 'format'")
        file.execute("DELETE FROM meta WHERE key = 'task'")
    with ProfileTable.open(path) as table:
        rows = table.rows()
        assert select(table, Budget.parse("9bpp")).winner is not None
        assert [about.knob for about in table.descriptions().values()] == ["quality"] * 2
    with profile_images(path, items, head, plan) as table:
        assert table.rows() == rows
    assert version_of(path)[0] == "5"
