"""The page on architecture leads to files and names that exist, and its pictures are fresh."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| ([^|`]*(?:`[^`]+`[^|`]*)*\?) \| `([^`]+)` \| `([\w.]+)` \|$", PAGE, re.MULTILINE
)


def defined(source: str) -> set[str]:
    """Names that a module defines, those of its classes' methods after the class's."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
            inner = [part for part in ast.walk(node) if isinstance(part, ast.FunctionDef)]
            found |= {f"{node.name}.{part.name}" for part in inner}
    return found


def test_it_answers_at_least_25_questions() -> None:
    table = PAGE.partition("| question |")[2].partition("\n\n")[0]
    assert len(ROWS) == len(table.splitlines()) - 2 >= 25


@pytest.mark.parametrize(("question", "file", "name"), ROWS, ids=[row[2] for row in ROWS])
def test_what_it_names_exists(question: str, file: str, name: str) -> None:
    path = ROOT / file
    assert path.is_file(), f"{question} {file} does not exist"
    assert name in defined(path.read_text(encoding="utf-8")), f"{question} {file} has no {name}"


def test_the_pictures_are_fresh_and_complete() -> None:
    command = [sys.executable, ROOT / "docs" / "pictures.py", "--check"]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    house = ElementTree.parse(ROOT / "docs" / "images" / "house.svg")
    shown = {text.text for text in house.iter("{http://www.w3.org/2000/svg}text")}
    packages = [path.parent.name for path in (ROOT / "codecframe").glob("*/__init__.py")]
    assert {f"{name}/" for name in packages} <= shown
