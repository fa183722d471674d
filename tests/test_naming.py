from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from codecframe.core import naming
from codecframe.core.errors import MismatchError
from codecframe.core.naming import output_names


@pytest.mark.parametrize(
    ("names", "taken", "made"),
    [
        (["a.png", "b/a.png"], [], ["a.x", "b/a.x"]),
        (["a.png", "a.jpg", "b.png"], [], ["a.png.x", "a.jpg.x", "b.x"]),
        (["a.png", "a.jpg", "a.png.bmp"], [], ["a.png.x", "a.jpg.x", "a.png.bmp.x"]),
        (["a.png"], ["a.x"], ["a.png.x"]),
        (["a", ".a", "v1.2"], [], ["a.x", ".a.x", "v1.x"]),
        (["A.png", "a.png"], [], ["A.x", "a.x"]),
        (["./0.jpg", "./0.png"], [], ["./0.jpg.x", "./0.png.x"]),
    ],
)
def test_names_do_not_collide(names: list[str], taken: list[str], made: list[str]) -> None:
    assert output_names(names, ".x", taken=taken) == made


E = "\N{LATIN SMALL LETTER E WITH ACUTE}.png"


@pytest.mark.parametrize(
    ("folds", "names"),
    [
        ((True, False), ["A.png", "a.png"]),
        ((False, True), [E, unicodedata.normalize("NFD", E)]),
    ],
)
def test_names_that_a_file_system_takes_for_the_same_are_refused_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folds: tuple[bool, bool],
    names: list[str],
) -> None:
    monkeypatch.setattr(naming, "_folds", lambda _: folds)
    with pytest.raises(MismatchError) as caught:
        output_names(names, ".x", folder=tmp_path)
    assert all(name in str(caught.value) for name in names)
    with pytest.raises(MismatchError):
        output_names([], ".x", taken=names, folder=tmp_path)
    monkeypatch.setattr(naming, "_folds", lambda _: (not folds[0], not folds[1]))
    assert len(set(output_names(names, ".x", folder=tmp_path))) == 2


def test_names_that_differ_by_suffix_too_stay_apart_on_any_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "_folds", lambda _: (True, True))
    assert output_names(["A.png", "a.jpg"], ".x", folder=tmp_path) == ["A.png.x", "a.jpg.x"]


def test_a_file_system_is_asked_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "case").touch()
    assert naming._folds(tmp_path / "new" / "folder")[0] == (tmp_path / "CASE").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["case"]
