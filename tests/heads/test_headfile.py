from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import LABELS, onnx_file, reference
from toys import picture, toy_registry

import codecframe
from codecframe.core import headfile


def described(folder: Path, text: str) -> str:
    path = folder / "head.yaml"
    path.write_text(text)
    return str(path)


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    folder = tmp_path / "model"
    folder.mkdir()
    onnx_file(folder / "trees.onnx")
    (folder / "trees.txt").write_text("\n".join(LABELS) + "\n")
    path = described(
        folder,
        "model: trees.onnx\nname: forest\nlabels: trees.txt\npreprocess: {resize: 16, crop: 16}\n",
    )
    monkeypatch.chdir(tmp_path)
    head = codecframe.get_head(path)
    assert (head.name, head.labels, head.input_shape) == ("forest", LABELS, (16, 16))
    image = picture(0, 16, 16)
    assert np.allclose(head.predict([image]).scores, reference([image]), atol=1e-5)
    same = codecframe.get_head(head.spec)  # what makes a codec for it opens it again by this
    assert (same.name, same.input_shape) == ("forest", (16, 16))


def test_the_model_may_be_a_head_s_name(tmp_path: Path) -> None:
    with toy_registry():
        assert codecframe.get_head(described(tmp_path, "model: brightness\n")).name == "brightness"
        with pytest.raises(codecframe.MismatchError, match="takes no labels"):
            codecframe.get_head(described(tmp_path, "model: brightness\nlabels: [dark]\n"))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", codecframe.DataError, "expected a mapping"),
        ("- model\n", codecframe.DataError, "expected a mapping"),
        ("model: [a]\n", codecframe.DataError, "not name a `model`"),
        ("model: {a\n", codecframe.DataError, "line"),
        ("model: json:loads\nlabels: absent.txt\n", codecframe.DataError, "absent.txt"),
        ("model: json:loads\nlabels: 7\n", codecframe.SettingsError, "labels"),
        ("model: json:loads\nname: 7\n", codecframe.SettingsError, "name"),
        ("model: json:loads\noutputs: odds\n", codecframe.SettingsError, "outputs"),
        ("model: json:loads\npreprocess: 224\n", codecframe.SettingsError, "preprocess"),
        ("model: json:loads\npreprocess: {size: 2}\n", codecframe.SettingsError, "size"),
        ("model: json:loads\nlabel: [a]\n", codecframe.SettingsError, "did you mean 'labels'"),
        ("model: absent.thing\n", codecframe.UnknownNameError, "absent.thing"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, text: str, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        codecframe.get_head(described(tmp_path, text))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "head.yaml").write_bytes(b"model: \xff\xfe")
    for path in (tmp_path / "head.yaml", tmp_path / "absent.yaml"):
        with pytest.raises(codecframe.DataError, match=path.name):
            headfile.load(path)
