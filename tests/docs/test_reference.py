"""The reference has every public name, and the example in each docstring runs.

Names are those of `codecframe/__init__.pyi` and of the table "Public names" of the plugin tutorial.
A name's example is in its docstring, or in that of a class that it inherits from.
"""

from __future__ import annotations

import doctest
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import codecframe
from codecframe.core.progress import Silent
from codecframe.testing import natural_image

griffe = pytest.importorskip("griffe", reason="comes with codecframe[docs]")

ROOT = Path(__file__).parents[2]
HEADS = '''
import numpy as np


def brightness(images):
    """Scores (images, 2): dark, bright."""
    means = np.float32([image.mean() - 127.5 for image in images])
    return np.stack([-means, means], axis=1)
'''


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names() -> Iterator[str]:
    made = generator()
    for listed in (*made.public_names().values(), *made.documented_modules().values()):
        yield from listed


NAMES = sorted(names())


@cache
def package() -> Any:
    return griffe.load("codecframe", search_paths=[str(ROOT)], allow_inspection=False)


def docstring(name: str) -> Any:
    """The docstring of a public name, as griffe found it; None where there is none."""
    found = package()[name.removeprefix("codecframe.")]
    return (found.final_target if found.is_alias else found).docstring


def examples(name: str) -> list[doctest.Example]:
    found = docstring(name)
    return doctest.DocTestParser().get_examples(found.value) if found else []


class Checker(doctest.OutputChecker):
    """Takes an error by its name alone, without the module that it is from."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(
            want, re.sub(r"^codecframe[\w.]*\.(\w+Error)", r"\1", got), optionflags
        )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page says that its examples assume; the working directory."""
    png = codecframe.get_codec("png")
    for number, name in enumerate(("photo", "photos/cat/1", "photos/cat/2", "photos/dog/1")):
        codecframe.write_whole(tmp_path / f"{name}.png", png.encode(natural_image(seed=number)))
    (tmp_path / "photo_heads.py").write_text(HEADS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_every_public_name_is_in_the_stub() -> None:
    listed = generator().public_names().values()
    assert sorted(name for part in listed for name in part) == sorted(
        f"codecframe.{name}" for name in codecframe.__all__
    )


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_its_example_runs(name: str, folder: Path) -> None:
    assert docstring(name), f"{name} has no docstring"
    found = examples(name)
    if not found:
        owner = getattr(codecframe, name.rpartition(".")[2])
        bases = {f"codecframe.{base.__name__}" for base in owner.__mro__[1:]} & set(NAMES)
        assert any(examples(base) for base in bases), f"{name} has no example"
        return
    known = {
        "cf": codecframe,
        "dataclass": dataclass,
        "np": np,
        "Path": Path,
        "photo": codecframe.read_image("photo.png"),
        "Silent": Silent,
        "__name__": "example",
    }
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(Checker(), verbose=False, optionflags=flags)
    told: list[str] = []
    runner.run(doctest.DocTest(found, known, name, None, None, None), out=told.append)
    assert runner.failures == 0, "".join(told)
