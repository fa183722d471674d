from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import LABELS, WEIGHTS, reference
from toys import picture

import codecframe
from codecframe.testing import HeadContract
from codecframe_callable import CallableHead


def by_array(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=(1, 2)) @ WEIGHTS


class TestOfImages(HeadContract):
    head = CallableHead(reference, labels=LABELS, name="means")


class TestOfArrays(HeadContract):
    head = CallableHead(by_array, preprocess={"resize": [20, 24], "layout": "nhwc"})


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes modules in the working folder."""
    monkeypatch.chdir(tmp_path)
    made = []

    def make(name: str, text: str) -> None:
        made.append(name)
        (tmp_path / f"{name}.py").write_text(text)

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_opens_by_import_path_from_the_working_folder(module: Any) -> None:
    module("shades_here", "def classify(images):\n    return [[i.mean(), 1.0] for i in images]\n")
    before = list(sys.path)
    head = codecframe.get_head("shades_here:classify")
    assert head.name == "shades_here:classify" and sys.path == before
    images = [picture(seed, 8 + seed, 8) for seed in range(3)]
    assert np.allclose(head.predict(images).scores[:, 0], [i.mean() for i in images])


def test_a_head_of_one_s_own_is_taken_as_it_is(module: Any) -> None:
    module(
        "own_head",
        "import numpy as np, codecframe\n"
        "class Own(codecframe.TaskHead):\n"
        "    name = 'own'\n"
        "    def predict(self, batch):\n"
        "        return codecframe.Prediction(np.zeros((len(batch), 2), np.float32))\n"
        "head = Own()\n",
    )
    assert codecframe.get_head("own_head:head").name == "own"


def test_what_cannot_be_imported_is_said(module: Any) -> None:
    module("numbers_only", "value = 3\n")
    for spec, message in (
        ("absent_module:f", "absent_module"),
        ("numbers_only:f", "no attribute 'f'"),
        ("numbers_only:value", "int, not a function"),
    ):
        with pytest.raises(codecframe.DataError, match=message):
            codecframe.get_head(spec)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda images: np.zeros(len(images)), "shape"),
        (lambda images: np.zeros((len(images) + 1, 3)), "shape"),
        (lambda images: np.full((len(images), 3), np.nan), "not finite"),
        (lambda images: "cat", "ValueError"),
        (lambda images: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_wrong_results_are_a_mismatch(result: Any, message: str) -> None:
    with pytest.raises(codecframe.MismatchError, match=message):
        CallableHead(result, name="mine").predict([picture(0, 8, 8)])


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(codecframe.DataError, match="uint8"):
        CallableHead(reference).predict([np.zeros((4, 4, 3))])
