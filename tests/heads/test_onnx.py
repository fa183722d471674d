from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import LABELS, copying_model, onnx_file, reference
from toys import picture

import codecframe
from codecframe.testing import HeadContract

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
from codecframe_onnx import OnnxHead


@cache
def opened(*shape: Any, **options: Any) -> OnnxHead:
    folder = Path(tempfile.mkdtemp())
    return OnnxHead(onnx_file(folder / "model.onnx", shape), labels=LABELS, **options)


class TestAnySize(HeadContract):
    head = opened("n", 3, "h", "w")


class TestFixedSize(HeadContract):
    head = opened("n", 3, 24, 32)


class TestFixedBatch(HeadContract):
    head = opened(4, 3, 24, 24)


class TestUnlabelled(HeadContract):
    head = OnnxHead(onnx_file(Path(tempfile.mkdtemp()) / "unlabelled.onnx"))


IMAGES = [picture(seed, 24, 32) for seed in range(5)]


@pytest.mark.parametrize("dtype", ["FLOAT", "FLOAT16", "UINT8"])
@pytest.mark.parametrize("shape", [("n", 3, 24, 32), ("n", 24, 32, 3), (2, 3, "h", "w")])
def test_layout_type_and_batch_are_read_off_the_model(
    tmp_path: Path, shape: tuple[Any, ...], dtype: str
) -> None:
    head = OnnxHead(onnx_file(tmp_path / "m.onnx", shape, dtype=dtype))
    tolerance = 1e-2 if dtype == "FLOAT16" else 1e-5
    assert np.allclose(head.predict(IMAGES).scores, reference(IMAGES), atol=tolerance)
    assert head.input_shape == ((24, 32) if shape[0] == "n" else None)


def test_images_are_resized_to_the_model(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "m.onnx", ("n", 3, 16, 16))
    assert OnnxHead(path).prepare(picture(0, 50, 70)).shape == (16, 16, 3)
    cropped = OnnxHead(path, preprocess={"resize": 20})
    assert cropped.preprocess.crop == (16, 16)
    with pytest.raises(codecframe.MismatchError, match=r"24x24.*16x16"):
        OnnxHead(path, preprocess={"crop": 24})


def test_probabilities_become_logarithms(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "m.onnx", softmax=True)
    found = OnnxHead(path, outputs="probabilities").predict(IMAGES)
    logits = reference(IMAGES)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(found.probabilities, chances, atol=1e-5)


def test_a_pooled_map_is_flattened(tmp_path: Path) -> None:
    head = OnnxHead(onnx_file(tmp_path / "m.onnx", pooled_map=True))
    assert np.allclose(head.predict(IMAGES).scores, reference(IMAGES), atol=1e-5)


def test_opens_by_its_suffix_with_the_file_s_name(tmp_path: Path) -> None:
    head = codecframe.get_head(str(onnx_file(tmp_path / "trees.onnx")))
    assert isinstance(head, OnnxHead) and head.name == "trees"


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(codecframe.DataError, match="no such file"):
        codecframe.get_head(str(tmp_path / "absent.onnx"))
    whole = onnx_file(tmp_path / "m.onnx").read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(codecframe.CodecframeError, match=r"bad\.onnx"):
            codecframe.get_head(str(tmp_path / "bad.onnx"))


@pytest.mark.parametrize("shape", [("n", 1, 8, 8), ("n", 8, 8, 4), ("n", 3, 8, 8, 8), ("n", 10)])
def test_models_of_something_else_are_refused(tmp_path: Path, shape: tuple[Any, ...]) -> None:
    path = copying_model(tmp_path / "m.onnx", shape)
    with pytest.raises(codecframe.MismatchError, match="three channels"):
        OnnxHead(path)


def test_outputs_that_are_no_scores_are_refused(tmp_path: Path) -> None:
    head = OnnxHead(copying_model(tmp_path / "m.onnx", ("n", 3, "h", "w")))
    with pytest.raises(codecframe.MismatchError, match=r"\(images, classes\)"):
        head.predict(IMAGES)


def test_wrong_labels_are_refused(tmp_path: Path) -> None:
    head = OnnxHead(onnx_file(tmp_path / "m.onnx"), labels=LABELS[:4])
    with pytest.raises(codecframe.MismatchError, match=r"4 labels.*5 classes"):
        head.predict(IMAGES)
