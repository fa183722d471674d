"""Detection: scores against pycocotools' own, image by image, truth files, drawing."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

import codecframe as cf
from codecframe.core.errors import DataError, MismatchError
from codecframe.core.statistics import resampled
from codecframe.tasks.detection import DETECTION
from codecframe.tasks.scoring import set_score

pytest.importorskip("pycocotools")


def made(seed: int, images: int = 12) -> tuple[list[cf.Boxes], cf.Detections]:
    """Truth of six classes, one never there, some crowds; and what a poor detector finds."""
    rng = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(images):
        n = int(rng.integers(0, 9))
        start = rng.uniform(0, 80, (n, 2))
        corners = np.hstack([start, start + rng.uniform(5, 40, (n, 2))])
        classes = rng.integers(0, 5, n)
        truths.append(cf.Boxes(corners, classes, crowd=rng.random(n) < 0.1))
        moved = corners + rng.normal(0, 2, (n, 4))
        wrong = np.hstack([rng.uniform(0, 50, (8, 2)), rng.uniform(51, 120, (8, 2))])
        boxes = np.concatenate([moved, moved[: n // 2] + 1, wrong])
        guessed = np.concatenate([classes, classes[: n // 2], rng.integers(0, 6, 8)])
        scores = np.sort(rng.random(len(boxes)).astype(np.float32).round(2))[::-1]
        order = rng.permutation(len(boxes))
        found.append(cf.Boxes(boxes[order], guessed[order], scores))
    return truths, cf.Detections(tuple(found))


def by_pycocotools(truths: Sequence[cf.Boxes], found: Sequence[cf.Boxes]) -> list[float]:
    """mAP, AP50, AP75 as `COCOeval.summarize` has them."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    sides = []
    for boxes in (truths, found):
        side = COCO()
        rows = [
            {
                "image_id": i,
                "category_id": int(of_class),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": int(crowd),
                "score": float(score),
            }
            for i, one in enumerate(boxes)
            for (x0, y0, x1, y1), of_class, score, crowd in zip(
                one.corners.tolist(), one.classes, one.scores, one.crowd, strict=True
            )
        ]
        side.dataset = {
            "images": [{"id": i} for i in range(len(truths))],
            "categories": [{"id": i} for i in range(6)],
            "annotations": [{**row, "id": i} for i, row in enumerate(rows, start=1)],
        }
        with contextlib.redirect_stdout(io.StringIO()):
            side.createIndex()
        sides.append(side)
    with contextlib.redirect_stdout(io.StringIO()):
        run = COCOeval(*sides, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return [float(value) for value in run.stats[:3]]


@pytest.mark.parametrize("seed", [0, 1])
def test_average_precision_is_that_of_pycocotools(seed: int) -> None:
    truths, prediction = made(seed)
    records = json.loads(json.dumps(DETECTION.records(prediction, truths)))
    figures = DETECTION.figures(records)
    ours = [set_score(DETECTION, np.zeros(12), records).value, figures["AP50"], figures["AP75"]]
    assert ours == pytest.approx(by_pycocotools(truths, prediction.images), abs=1e-9)


def test_a_resampled_set_scores_as_its_images_do() -> None:
    truths, prediction = made(3)
    records = DETECTION.records(prediction, truths)
    weights = resampled(12)[:4]
    for often, ours in zip(weights, DETECTION.set_scores(records, weights), strict=True):
        drawn = np.repeat(np.arange(12), often.astype(int))
        theirs = by_pycocotools([truths[i] for i in drawn], [prediction.images[i] for i in drawn])
        assert ours == pytest.approx(theirs[0], abs=1e-9)


def test_images_by_themselves_and_parts_give_the_same_records() -> None:
    truths, prediction = made(4)
    whole = DETECTION.records(prediction, truths)
    parts = [DETECTION.records(prediction.one(i), [truths[i]])[0] for i in range(12)]
    assert whole == parts


def test_what_never_arrived_finds_nothing() -> None:
    truths, _ = made(5)
    none = cf.Detections(tuple(cf.Boxes([], []) for _ in truths))
    assert DETECTION.missed(truths) == DETECTION.records(none, truths)
    assert DETECTION.set_scores(DETECTION.missed(truths), np.ones((1, 12)))[0] == 0


def test_intervals_hold_differences_in_pairs() -> None:
    truths, prediction = made(6, images=40)
    records = DETECTION.records(prediction, truths)
    worse = records[:20] + DETECTION.missed(truths[20:])
    full, half = (set_score(DETECTION, np.zeros(40), each) for each in (records, worse))
    assert 0 <= full.low < full.value < full.high <= 1
    gap, low, high = full.difference(half)
    assert gap == pytest.approx(full.value - half.value)
    assert 0 < low < gap < high
    assert full.difference(full) == (0, 0, 0)


def test_an_image_by_itself_scores_its_f1() -> None:
    truth = cf.Boxes([[0, 0, 10, 10], [20, 20, 30, 30]], [0, 1])
    found = cf.Boxes(
        [[0, 0, 10, 9], [20, 20, 30, 30], [50, 50, 60, 60]], [0, 0, 1], [0.9, 0.8, 0.3]
    )
    prediction = cf.Detections((found, cf.Boxes([], [])), ("cat", "dog"), threshold=0.5)
    # one of two found is right, one of two is found; the third is not sure
    assert DETECTION.score(prediction, [truth, cf.Boxes([], [])]).tolist() == [0.5, 1.0]
    own = DETECTION.pseudo_targets(prediction)
    assert [len(one) for one in own] == [2, 0]
    assert DETECTION.score(prediction, own).tolist() == [1.0, 1.0]


def test_what_lies_in_a_crowd_is_not_wrong() -> None:
    truth = cf.Boxes([[0, 0, 40, 40], [50, 50, 60, 60]], [0, 0], crowd=[True, False])
    found = cf.Boxes([[5, 5, 15, 15], [50, 50, 60, 60]], [0, 0], [0.9, 0.9])
    assert DETECTION.score(cf.Detections((found,)), [truth]).tolist() == [1.0]


def test_the_loss_rewards_what_is_right_as_often_as_its_score_says() -> None:
    truth = cf.Boxes([[0, 0, 20, 20], [40, 0, 60, 20]], [1, 1], crowd=[False, True])
    right, wrong, grouped = [0, 0, 20, 20], [70, 70, 90, 90], [42, 2, 50, 10]

    def loss(corners: list[list[int]], scores: list[float]) -> float:
        found = cf.Boxes(corners, [1] * len(corners), scores)
        return float(DETECTION.loss(cf.Detections((found,)), [truth])[0])

    assert loss([], []) == 1 and loss([right], [1.0]) == 0
    assert loss([right, grouped], [1.0, 0.9]) == 0
    assert loss([wrong], [0.5]) == pytest.approx(1.25)
    assert loss([right, *[wrong] * 3], [0.4, 0.2, 0.2, 0.2]) == pytest.approx(0.48)
    assert loss([[0, 0, 20, 16]], [1.0]) == pytest.approx(0.04)  # an overlap of 0.8


def test_divergence_grows_with_what_changed() -> None:
    one = cf.Boxes([[0, 0, 10, 10], [20, 20, 30, 30]], [0, 1], [0.9, 0.6])
    less_sure = cf.Boxes(one.corners, one.classes, [0.8, 0.6])
    lost = one.chosen([0])
    found = cf.Detections((one, less_sure, lost, cf.Boxes([], [])))
    apart = DETECTION.divergence(found, cf.Detections((one,) * 4))
    assert apart.round(4).tolist() == [0, 0.1, 0.6, 1.5]


# -- truth ----------------------------------------------------------------------------------


class Head(cf.TaskHead):
    name = "finder"
    labels = ("cat", "dog")
    task = cf.get_task("detection")

    def predict(self, batch):
        return cf.Detections(tuple(cf.Boxes([], []) for _ in batch), self.labels)


def photos(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PilImage.new("RGB", (40, 20)).save(folder / name)
    return folder


def truths_of(items: cf.ImageSet) -> dict[str, tuple[list, list]]:
    found = {}
    for item in items:
        boxes = Head().truth(item.target, (20, 40), (40, 40))
        found[item.name] = (boxes.corners.tolist(), boxes.classes.tolist())
    return found


EXPECTED = {"a.png": ([[4, 4, 12, 24], [0, 0, 40, 40]], [1, 0]), "b.png": ([], [])}
"""In images made twice as high."""


def test_boxes_from_csv(tmp_path: Path) -> None:
    photos(tmp_path, "a.png", "b.png", "c.png")
    rows = ["a.png,dog,eval,4,2,12,12", "a.png,cat,eval,0,0,40,20", "b.png,,eval,,,,"]
    text = "\n".join(["file,label,split,x0,y0,x1,y1", *rows, "c.png,cat,tune,0,0,4,4"])
    (tmp_path / "boxes.csv").write_text(text)
    items = cf.open_images(
        tmp_path, labels=tmp_path / "boxes.csv", where={"split": "eval"}, task="detection"
    )
    assert truths_of(items) == EXPECTED


def test_boxes_from_coco_json(tmp_path: Path) -> None:
    photos(tmp_path, "val/a.png", "val/b.png", "val/c.png", "train/a.png")
    boxes = [(7, 18, [4, 2, 8, 10], 0), (7, 17, [0, 0, 40, 20], 1)]
    data = {
        "images": [{"id": 7, "file_name": "val/a.png"}, {"id": 9, "file_name": "b.png"}],
        "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": image, "category_id": of, "bbox": box, "iscrowd": crowd}
            for i, (image, of, box, crowd) in enumerate(boxes)
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(data))
    items = cf.open_images(tmp_path, labels=tmp_path / "instances.json", task="detection")
    assert truths_of(items) == {f"val/{name}": boxes for name, boxes in EXPECTED.items()}
    assert items[0].target.crowd.tolist() == [False, True]


def test_boxes_from_yolo_text(tmp_path: Path) -> None:
    photos(tmp_path / "images", "val/a.png", "val/b.png", "val/c.png")
    labels = tmp_path / "labels" / "val"
    labels.mkdir(parents=True)
    labels.joinpath("a.txt").write_text("1 0.2 0.35 0.2 0.5\n0 0 0 1 0 1 1 0 1\n")
    labels.joinpath("b.txt").write_text("")
    items = cf.open_images(tmp_path / "images", labels=tmp_path / "labels", task="detection")
    found = truths_of(items)
    assert found.keys() == {"val/a.png", "val/b.png"}
    assert found["val/a.png"][1] == [1, 0] and found["val/b.png"] == ([], [])
    assert np.allclose(found["val/a.png"][0], EXPECTED["a.png"][0], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("boxes.csv", "file,label\na.png,cat", "no column x0"),
        ("boxes.csv", "file,label,x0,y0,x1,y1\na.png,cat,1,2,x,4", "not numbers"),
        ("coco.json", "{", "is not JSON"),
        ("coco.json", "{}", "categories"),
        ("labels/a.txt", "cat 0 0 1 1", "not a class number"),
    ],
)
def test_files_that_are_no_boxes_are_refused(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    photos(tmp_path, "a.png")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    source = tmp_path / "labels" if name.endswith(".txt") else tmp_path / name
    with pytest.raises(DataError, match=said):
        cf.open_images(tmp_path / "a.png", labels=source, task="detection")


def test_truth_must_be_the_heads() -> None:
    with pytest.raises(MismatchError, match="no class"):
        Head().truth(cf.Boxes([[0, 0, 1, 1]], ["horse"]), (2, 2), (2, 2))
    with pytest.raises(MismatchError, match="of class 2"):
        Head().truth(cf.Boxes([[0, 0, 1, 1]], [2]), (2, 2), (2, 2))
    with pytest.raises(MismatchError, match="boxes"):
        Head().truth("cat", (2, 2), (2, 2))


# -- for people -----------------------------------------------------------------------------


def test_json_is_drawn_and_said() -> None:
    found = cf.Boxes([[4, 4, 20, 24], [8, 8, 30, 30]], [1, 1], [0.9, 0.2])
    (said,) = DETECTION.to_json(cf.Detections((found,), ("cat", "dog")))
    assert said == {"boxes": [{"box": [4, 4, 20, 24], "label": "dog", "index": 1, "score": 0.9}]}
    assert DETECTION.words(said) == "dog"
    image = np.full((40, 40, 3), 90, np.uint8)
    drawn = DETECTION.draw(image, said)
    assert drawn.shape == image.shape and (drawn[24, 4:20] != 90).any()
    with_truth = DETECTION.draw(image, said, DETECTION.target_to_json(found))
    assert (with_truth != drawn).any()
    assert (image == 90).all()


@pytest.mark.parametrize(
    "said", [{}, {"boxes": 3}, {"boxes": [{"box": [1, 2, "x"], "label": "a"}]}, {"boxes": [{}]},
             {"boxes": [{"box": [float("nan")] * 4, "label": "a"}]}]
)  # fmt: skip
def test_what_is_no_detection_is_not_drawn(said: dict) -> None:
    with pytest.raises(DataError, match="not what a detector says"):
        DETECTION.draw(np.zeros((8, 8, 3), np.uint8), said)


@pytest.mark.parametrize(
    "record", [3, {}, {"truths": {"a": 1}, "found": []}, {"truths": {"0": 1}, "found": [[0, 1]]}]
)
def test_a_strangers_record_is_refused(record: object) -> None:
    with pytest.raises(DataError):
        DETECTION.set_scores([record], np.ones((1, 1)))
