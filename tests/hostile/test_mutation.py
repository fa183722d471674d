"""Damaged files of every kind: refused or used, never a crash, a traceback, or out of bounds.

Some are tried here; `python tests/hostile/mutation.py KIND --count 1000 --seed 7` tries more.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
COUNTS = {"profiles": 15, "presets": 40, "recipes": 40, "heads": 40, "models": 6}


@pytest.mark.parametrize("kind", COUNTS)
def test_damaged_files_are_refused_or_used(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "models":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("safetensors")
    monkeypatch.syspath_prepend(str(FOLDER))
    paths = [str(FOLDER), str(FOLDER.parent / "support"), *sys.path]
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, paths))
    )  # of the process that works
    import mutation
    import targets

    from codecframe.core import registry

    monkeypatch.setattr(registry, "default", registry.default)  # put back what a target replaces
    make, mutate, use = targets.TARGETS[kind]
    original = make(tmp_path)
    (tmp_path / "work").mkdir()
    numbers = range(COUNTS[kind])
    assert [*mutation.watch(original, mutate, use, numbers, tmp_path / "work", seconds=120)] == []


def test_the_watch_sees_what_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER), *filter(None, sys.path)]))
    import faults
    import mutation

    original = tmp_path / "a"
    original.write_bytes(b"0")
    (tmp_path / "work").mkdir()
    found = [
        *mutation.watch(
            original, faults.number_in, faults.go_wrong, range(6), tmp_path / "work",
            seconds=5, most_bytes=100 << 20,
        )
    ]  # fmt: skip
    assert [finding.number for finding in found] == [1, 2, 3, 4]
    for finding, text in zip(found, ("ZeroDivision", "more than", "ends the", "MiB"), strict=True):
        assert text in finding.what
