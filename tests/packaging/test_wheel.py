"""What the wheel holds."""

from __future__ import annotations

import configparser
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def names(wheel: Path) -> list[str]:
    """The paths in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="session")
def packages(names: list[str]) -> set[str]:
    """The wheel's top level, without its metadata."""
    return {top for name in names if not (top := name.split("/")[0]).endswith(".dist-info")}


def test_holds_codecframe_and_the_bundled_plugins_and_nothing_else(packages: set[str]) -> None:
    plugins = {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}
    assert packages == {"codecframe", *plugins}


def test_is_typed(names: list[str]) -> None:
    assert "codecframe/py.typed" in names


def test_registers_each_bundled_plugin(wheel: Path, names: list[str], packages: set[str]) -> None:
    (path,) = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
    points = configparser.ConfigParser(delimiters=["="])
    with zipfile.ZipFile(wheel) as archive:
        points.read_string(archive.read(path).decode())
    assert set(points["codecframe"].values()) == packages - {"codecframe"}
