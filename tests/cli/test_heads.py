"""`codecframe heads`: what it says of a head, and whether its preprocessing is plausible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Result

Run = Callable[..., Result]


@pytest.fixture
def described(tmp_path: Path) -> str:
    """A description of a head of two classes that wants pixels of 0..1, and says 0..255."""
    (tmp_path / "halves.py").write_text(
        "def bright(values):\n    return (values.mean(axis=(1, 2, 3)) - 0.45) * 40\n"
    )
    (tmp_path / "head.yaml").write_text(
        "model: halves:bright\n"
        "name: halves\n"
        "labels: [dark, bright]\n"
        "outputs: logits\n"
        "preprocess: {resize: [16, 16], scale: 1}\n"
    )
    return "head.yaml"


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Forty pictures in two folders, `dark` and `bright`."""
    import numpy as np
    from PIL import Image as PilImage

    rng = np.random.default_rng(0)
    for i in range(40):
        name, level = ("dark", 70) if i % 2 else ("bright", 165)
        path = tmp_path / "halves" / name / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.normal(level, 8, (20, 24, 3)).clip(0, 255).astype(np.uint8)
        PilImage.fromarray(pixels).save(path)
    return tmp_path / "halves"


def test_a_head_is_shown_with_what_is_assumed(
    run_here: Run, described: str, head_module: str
) -> None:
    text = run_here("heads", described).out
    assert "scores       logits (as described): two classes, the second above 0" in text
    assert "scale: 1" in text and "halves" in text
    facts = run_here("heads", head_module, "--json").json
    assert facts["classes"] == 10 and facts["labels"] == []
    assert any("logits" in one for one in facts["assumed"])
    assert facts["preprocess"] == {}, "the function does it"


def test_a_file_for_a_module_is_told_what_is_right(run_here: Run) -> None:
    for command in ("heads", "check", "classify"):
        arguments = {
            "heads": ("heads", "lite2.py:head"),
            "check": ("heads", "check", "lite2.py:head", "--images", "."),
            "classify": ("classify", ".", "--head", "lite2.py:head"),
        }[command]
        found = run_here(*arguments)
        assert found.code == 1 and "lite2:head" in found.err


def test_wrong_preprocessing_is_found_mended_and_found_right(
    run_here: Run, described: str, halves: Path, tmp_path: Path
) -> None:
    check = ("heads", "check", described, "--images", halves, "--labels", "folders")
    wrong = run_here(*check)
    assert wrong.code == 1 and wrong.out.startswith("implausible")
    found = run_here(*check, "--json")
    assert found.code == 1 and found.json["verdict"] == "implausible"
    assert found.json["images"] == 40 and found.json["described"]["accuracy"] == 0.5
    assert found.json["yaml"] in wrong.out
    text = (tmp_path / described).read_text().partition("preprocess:")[0]
    (tmp_path / described).write_text(text + found.json["yaml"])
    right = run_here(*check, "--json")
    assert right.code == 0 and right.json["recommended"] is None
    assert right.json["described"]["accuracy"] == 1


def test_without_labels_and_with_a_limit(run_here: Run, described: str, halves: Path) -> None:
    found = run_here("heads", "check", described, "--images", halves, "--limit", 25, "--json").json
    assert found["images"] == 25 and found["labelled"] is False
    assert "labels would tell" in found["reason"]


def test_what_cannot_be_checked_is_refused(run_here: Run, halves: Path, head_module: str) -> None:
    for head, message in ((head_module, "its own code"), ("no-such-head", "no-such-head")):
        found = run_here("heads", "check", head, "--images", halves)
        assert found.code == 1 and message in found.err
    assert run_here("heads", "check", "cifar10").code == 2
    assert "--images" in run_here("heads", "check", "--help").out
