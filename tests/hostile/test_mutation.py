"""Damaged files of every kind: refused or used, never a crash, a traceback, or out of bounds.

Some are tried here; `python tests/hostile/fuzz.py KIND --count 1000 --seed 7` tries more.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
FINDINGS = sorted((FOLDER / "findings").glob("[!.]*"))
COUNTS = {
    "profiles": 15, "presets": 40, "recipes": 40, "heads": 40, "models": 6, "codecs": 60,
    "payloads": 60, "images": 80, "hellos": 40, "frames": 40, "posts": 40, "welcomes": 40,
    "answers": 40, "pictures": 40,
}  # fmt: skip

ONCE_HARMFUL = {"models": [10_000_067, 30_000_387, 30_000_545, 30_000_583, 30_000_846,
                           120_000_173]}  # fmt: skip
"""Numbers of inputs that did harm; where the file is small, it lies in `findings` instead."""


@pytest.fixture
def fuzzing(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The modules `targets` and `watch`, here and in processes that are started."""
    paths = [str(FOLDER), str(FOLDER.parent / "support")]
    for path in paths:
        monkeypatch.syspath_prepend(path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*paths, *filter(None, sys.path)]))
    import targets
    import watch

    from codecframe.core import registry

    monkeypatch.setattr(registry, "default", registry.default)  # put back what a target replaces
    return targets, watch


@pytest.mark.parametrize("kind", COUNTS)
def test_damaged_files_are_refused_or_used(
    kind: str, tmp_path: Path, fuzzing: tuple[Any, Any]
) -> None:
    if kind == "models":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("safetensors")
    targets, watch = fuzzing
    target = targets.TARGETS[kind]
    originals = target.make(tmp_path)
    (tmp_path / "work").mkdir()
    found = watch.watch(
        originals,
        target.mutate,
        target.use,
        [*range(COUNTS[kind]), *ONCE_HARMFUL.get(kind, [])],
        tmp_path / "work",
        seconds=120,
    )
    assert [*found] == []


@pytest.mark.parametrize("path", FINDINGS, ids=[path.name for path in FINDINGS])
def test_what_once_did_harm_does_none(path: Path, tmp_path: Path, fuzzing: tuple[Any, Any]) -> None:
    import mutation

    targets, watch = fuzzing
    kind, _, name = path.name.split("-", 2)
    file = tmp_path / name
    file.write_bytes(path.read_bytes())
    (tmp_path / "work").mkdir()
    found = watch.watch(
        [file], mutation.leave, targets.TARGETS[kind].use, range(1), tmp_path / "work", seconds=120
    )
    assert [*found] == []


def test_the_watch_sees_what_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER), *filter(None, sys.path)]))
    import faults
    import watch

    original = tmp_path / "a"
    original.write_bytes(b"0")
    (tmp_path / "work").mkdir()
    hangs, others = [2], [0, 1, *range(3, 9)]  # on a busy machine, others may take long, too
    found = [
        finding
        for numbers, seconds in ((others, 300), (hangs, 1))
        for finding in watch.watch(
            [original], faults.number_in, faults.go_wrong, numbers, tmp_path / "work",
            seconds=seconds, processor_seconds=0.2, most_bytes=100 << 20,
        )
    ]  # fmt: skip
    texts = ["ZeroDivision", "more than", "ends the", "MiB", "stderr", "of the processor"]
    if sys.version_info < (3, 12):  # there, None is not counted any more
        texts.append("references")
    told = {finding.number: finding.what for finding in found}
    assert sorted(told) == list(range(1, 1 + len(texts)))
    for number, text in enumerate(texts, start=1):
        assert text in told[number]
