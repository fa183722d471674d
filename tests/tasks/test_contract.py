"""codecframe's own tasks keep the contract that those of plugins are tested by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import codecframe as cf
from codecframe.testing import TaskContract

LOGITS = np.float32([[2, -1, 0.5], [-1, 3, -2], [0.2, -0.5, 4], [-1, 1, 2]])


class TestClassification(TaskContract):
    task = cf.get_task("classification")

    def prediction(self) -> cf.Prediction:
        return cf.Prediction(LOGITS, ("a", "b", "c"))

    def truths(self) -> list[Any]:
        return [0, 1, 1, 2]


class TestMultiLabel(TaskContract):
    task = cf.get_task("multilabel")

    def prediction(self) -> cf.Prediction:
        return cf.Prediction(LOGITS, ("a", "b", "c"), sigmoid=True)

    def truths(self) -> list[Any]:
        return [(0, 2), (1,), (), (0, 1)]


class TestDetection(TaskContract):
    task = cf.get_task("detection")

    def prediction(self) -> cf.Detections:
        pytest.importorskip("pycocotools")
        boxes = [cf.Boxes([[4, 4, 20, 18], [30, 2, 50, 30]], [0, 1], [0.9, 0.6])]
        boxes += [cf.Boxes([[1 + i, 2, 12, 30]], [i], [0.4 + 0.2 * i]) for i in range(2)]
        return cf.Detections((*boxes, cf.Boxes([], [])), ("cat", "dog"))

    def truths(self) -> list[Any]:
        one = cf.Boxes([[5, 4, 20, 18]], [0])
        return [one, cf.Boxes([], []), cf.Boxes([[0, 0, 40, 30]], [1], crowd=[True]), one]


class TestSegmentation(TaskContract):
    task = cf.get_task("segmentation")

    def prediction(self) -> cf.ClassMaps:
        maps = [np.arange(48).reshape(6, 8) // k % 3 for k in (1, 8, 20)]
        return cf.ClassMaps(tuple(one.astype(np.uint8) for one in maps), ("sky", "road", "car"))

    def truths(self) -> list[Any]:
        return [np.full((6, 8), k, np.uint8) for k in (0, 1, 255)]


class TestEmbedding(TaskContract):
    task = cf.get_task("embedding")

    def prediction(self) -> cf.Embeddings:
        return cf.Embeddings(LOGITS)

    def truths(self) -> list[Any]:
        return ["cat", "dog", "cat", "dog"]
