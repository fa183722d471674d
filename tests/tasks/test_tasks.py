"""Multilabel, segmentation and embedding: scores against scikit-learn's; what all tasks promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

import codecframe as cf
from codecframe.core.errors import DataError, MismatchError, UnknownNameError
from codecframe.core.registry import Registry
from codecframe.core.statistics import resampled
from codecframe.tasks.known import tasks

RNG = np.random.default_rng(1)
LOGITS = RNG.normal(0, 2, (20, 4)).astype(np.float32).round(1)
MAPS = tuple(RNG.integers(0, 3, (6, 8)).astype(np.uint8) for _ in range(5))
PREDICTIONS: dict[str, Any] = {
    "classification": cf.Prediction(LOGITS, ("a", "b", "c", "d")),
    "multilabel": cf.Prediction(LOGITS, ("a", "b", "c", "d"), sigmoid=True),
    "detection": cf.Detections(
        tuple(cf.Boxes(np.float32([[1, 1, 5, 6]]) + i, [i % 2], [0.6]) for i in range(4))
    ),
    "segmentation": cf.ClassMaps(MAPS, ("sky", "road", "car")),
    "embedding": cf.Embeddings(LOGITS),
}


class AnyHead(cf.TaskHead):
    name = "any"
    labels = ("a", "b", "c", "d")

    def predict(self, batch):
        raise NotImplementedError


@pytest.mark.parametrize("name", PREDICTIONS)
def test_what_every_task_promises(name: str) -> None:
    task, prediction = cf.get_task(name), PREDICTIONS[name]
    n = len(prediction)
    targets = task.pseudo_targets(prediction)
    assert len(targets) == n
    assert task.score(prediction, targets).tolist() == [1.0] * n
    assert np.allclose(task.divergence(prediction, prediction), 0, atol=1e-6)
    assert (task.loss(prediction, targets) >= 0).all()
    said = json.loads(json.dumps(task.to_json(prediction)))
    assert len(said) == n and all(isinstance(task.words(one), str) for one in said)
    image = np.zeros((6, 8, 3), np.uint8)
    assert task.draw(image, said[0]).shape == image.shape
    again = type(prediction).joined([prediction.take([0]), prediction.take(range(1, n))])
    assert task.to_json(again) == task.to_json(prediction)
    with pytest.raises(DataError):
        task.words({"no": "such thing"})
    if task.has_records and name != "embedding":
        pytest.importorskip("pycocotools")
        records = json.loads(json.dumps(task.records(prediction, targets)))
        missed = json.loads(json.dumps(task.missed(targets)))
        assert task.set_scores(records, np.ones((1, n)))[0] == 1
        assert task.set_scores(missed, np.ones((1, n)))[0] == 0
        with pytest.raises(DataError):
            task.set_scores([{"no": "record"}], np.ones((1, 1)))


def test_multilabel_precision_is_that_of_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    from sklearn.metrics import average_precision_score, f1_score

    task = cf.get_task("multilabel")
    truth = RNG.random((20, 4)) < 0.4
    targets = [tuple(np.flatnonzero(row).tolist()) for row in truth]
    records = task.records(PREDICTIONS["multilabel"], targets)
    weights = resampled(20)[:3]
    for often, ours in zip(weights, task.set_scores(records, weights), strict=True):
        theirs = average_precision_score(truth, LOGITS, sample_weight=often)
        assert ours == pytest.approx(theirs, abs=1e-9)
    of_all = f1_score(truth, LOGITS >= 0, average="micro")
    assert task.figures(records)["F1"] == pytest.approx(of_all)
    by_image = f1_score(truth, LOGITS >= 0, average="samples", zero_division=1)
    assert task.score(PREDICTIONS["multilabel"], targets).mean() == pytest.approx(by_image)


def test_multilabel_truth(tmp_path: Path) -> None:
    for name in "xyz":
        PilImage.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    (tmp_path / "labels.csv").write_text("file,label\nx.png,b\nx.png,a\ny.png,\n")
    items = cf.open_images(tmp_path, labels=tmp_path / "labels.csv", task="multilabel")
    task = cf.get_task("multilabel")
    found = {item.name: task.target(item.target, AnyHead(), (8, 8), (8, 8)) for item in items}
    assert found == {"x.png": (0, 1), "y.png": ()}

    class One(AnyHead):
        labels = ("broken",)

    said = [task.target(one, One(), (8, 8), (8, 8)) for one in ("yes", "0", ("broken",), 0)]
    assert said == [(0,), (), (0,), ()]


def test_segmentation_scores_as_scikit_learn_does(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    from sklearn.metrics import jaccard_score

    task = cf.get_task("segmentation")
    truth = [np.where(RNG.random((6, 8)) < 0.2, 255, one).astype(np.uint8) for one in MAPS[::-1]]
    valid = [one != 255 for one in truth]
    records = task.records(PREDICTIONS["segmentation"], truth)
    theirs = jaccard_score(
        np.concatenate([one[v] for one, v in zip(truth, valid, strict=True)]),
        np.concatenate([one[v] for one, v in zip(MAPS, valid, strict=True)]),
        average="macro",
    )
    assert task.set_scores(records, np.ones((1, 5)))[0] == pytest.approx(theirs)
    first = jaccard_score(truth[0][valid[0]], MAPS[0][valid[0]], average="macro")
    assert task.score(PREDICTIONS["segmentation"], truth)[0] == pytest.approx(first)

    PilImage.new("RGB", (8, 6)).save(tmp_path / "x.png")
    (tmp_path / "masks").mkdir()
    PilImage.fromarray(truth[0]).save(tmp_path / "masks" / "x.png")
    items = cf.open_images(tmp_path / "x.png", labels=tmp_path / "masks", task="segmentation")
    read = task.target(items[0].target, AnyHead(), (6, 8), (12, 16))
    assert np.array_equal(read[::2, ::2], truth[0])
    with pytest.raises(MismatchError, match="8x6"):
        task.target(items[0].target, AnyHead(), (9, 9), (9, 9))
    with pytest.raises(DataError, match="mode RGB"):
        PilImage.new("RGB", (8, 6)).save(tmp_path / "masks" / "x.png")
        items[0].target.read()


def test_embeddings_are_scored_by_their_nearest() -> None:
    task = cf.get_task("embedding")
    vectors = np.float32([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [1, 0.05], [5, 5]])
    labels = ["cat", "cat", "dog", "dog", "dog", "alone"]
    records = json.loads(json.dumps(task.records(cf.Embeddings(vectors), labels)))
    ones = np.ones((1, 6))
    # the nearest of the fifth is a cat, and so is it that of the first; the last has no fellow
    assert task.set_scores(records, ones)[0] == pytest.approx(2 / 5)
    missed = [*records[:3], *task.missed(labels[3:])]
    assert task.set_scores(missed, ones)[0] == pytest.approx(2 / 5)
    assert np.isnan(task.score(cf.Embeddings(vectors), labels)).all()


def test_plugins_bring_tasks() -> None:
    class Reading(type(cf.get_task("classification"))):  # type: ignore[misc]
        name = "reading"

    class Plugin:
        @cf.hookimpl
        def codecframe_tasks(self):
            return [Reading(), "no task"]

    registry = Registry()
    registry.register(Plugin(), "reader")
    assert list(registry.tasks) == ["reading"]
    (info,) = registry.plugins()
    assert info.tasks == ["reading"] and "not a Task" in info.errors[0]
    assert {"classification", "detection"} <= set(tasks())
    with pytest.raises(UnknownNameError, match="detection"):
        cf.get_task("detecton")
