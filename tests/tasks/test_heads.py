"""Models as heads of each task: layouts of outputs, geometry, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import detector

import codecframe as cf
from codecframe.core.errors import MismatchError, SettingsError

SIZE = (64, 96)
"""Height and width that the models take."""
WANTED = np.float32([[10, 8, 40, 32], [50, 20, 90, 60]])
"""Corners in the model's input."""
CLASSES, SCORES = np.array([2, 0]), np.float32([0.9, 0.7])
LABELS = ["cat", "dog", "fox"]


class Fake:
    """A model whose outputs are always these, whatever it sees."""

    name, spec, batch_size, pad = "fake", "", 1, False

    def __init__(self, **outputs: Any) -> None:
        self.outputs = outputs
        self.shapes = {name: array.shape for name, array in outputs.items()}

    def preprocess(self, given: Any) -> cf.Preprocess:
        return cf.Preprocess.of({"resize": list(SIZE), **(given or {})})

    def run(self, values: Any) -> dict[str, Any]:
        self.seen = values
        return self.outputs

    def details(self) -> dict[str, Any]:
        return {}


def centre(corners: np.ndarray) -> np.ndarray:
    return np.hstack([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]])


def scores_of(classes: int) -> np.ndarray:
    """A row of scores for each box; a third box overlaps the first and is less sure."""
    found = np.full((3, classes), 0.01, np.float32)
    found[[0, 1], CLASSES] = SCORES
    found[2, CLASSES[0]] = 0.5
    return found


def with_double(corners: np.ndarray) -> np.ndarray:
    return np.concatenate([corners, corners[:1] + 1]).astype(np.float32)


def logit(values: np.ndarray) -> np.ndarray:
    return np.log(values) - np.log1p(-values)


def models() -> dict[str, tuple[Fake, dict[str, Any]]]:
    shares = WANTED / np.float32([SIZE[1], SIZE[0]] * 2)
    yolo = np.hstack([centre(with_double(WANTED)), scores_of(3)]).T[None]
    sure = np.full((3, 1), 0.8)
    v5 = np.hstack([centre(with_double(WANTED)), sure, scores_of(3) / 0.8])[None]
    logits = np.full((2, 4), -9, np.float32)
    logits[[0, 1], CLASSES], logits[:, 3] = logit(SCORES), 0
    pair = {"b": with_double(WANTED)[None], "s": scores_of(3)[None]}
    return {
        "lists": (
            Fake(boxes=WANTED, labels=CLASSES + 1, scores=SCORES),
            {"layout": "lists", "first": 1},
        ),
        "lists with a batch": (
            Fake(x=WANTED[None], y=CLASSES[None], z=SCORES[None]), {"layout": "lists"},
        ),
        "boxes-scores": (Fake(**pair), {"layout": "boxes-scores"}),
        "logits": (
            Fake(b=pair["b"], s=logit(pair["s"])),
            {"layout": "boxes-scores", "activation": "sigmoid"},
        ),
        "sizes": (
            Fake(
                b=np.hstack([with_double(WANTED)[:, :2], centre(with_double(WANTED))[:, 2:]])[None],
                s=pair["s"],
            ),
            {"form": "size"},
        ),
        "yolo": (Fake(out=yolo), {"layout": "yolo"}),
        "yolo, boxes first": (Fake(out=yolo.transpose(0, 2, 1)), {"layout": "yolo"}),
        "yolo-objectness": (Fake(out=v5.astype(np.float32)), {"layout": "yolo-objectness"}),
        "detr": (Fake(pred_logits=logits[None], pred_boxes=centre(shares)[None]),
                 {"layout": "detr"}),
    }  # fmt: skip


@pytest.mark.parametrize("name", models())
def test_layouts_of_detectors(name: str) -> None:
    model, options = models()[name]
    head = cf.get_task("detection").head(model, {"labels": LABELS, **options})
    image = np.zeros((128, 48, 3), np.uint8)  # stretched to SIZE
    (found,) = head.predict([image]).images
    assert np.allclose(found.corners, WANTED * [0.5, 2, 0.5, 2], atol=1e-3)
    assert found.classes.tolist() == CLASSES.tolist()
    assert np.allclose(found.scores, SCORES, atol=1e-4)
    prepared = head.prepare(image)
    assert prepared.shape[:2] == SIZE
    assert np.allclose(head.predict([prepared]).images[0].corners, WANTED, atol=1e-3)


@pytest.mark.parametrize(
    ("fit", "shape", "place"),
    [("letterbox", (32, 96), (16, 0, 32, 96)), ("corner", (32, 96), (0, 0, 32, 96)),
     ("letterbox", (128, 64), (0, 32, 64, 32)), ("letterbox", (640, 331), (0, 31, 64, 33))],
)  # fmt: skip
def test_boxes_come_back_from_a_letterbox(
    fit: str, shape: tuple[int, int], place: tuple[int, ...]
) -> None:
    model, options = models()["boxes-scores"]
    options = {**options, "preprocess": {"fit": fit, "fill": 7}}
    head = cf.get_task("detection").head(model, {"labels": LABELS, **options})
    image = np.full((*shape, 3), 200, np.uint8)
    assert head.preprocess.place(shape) == place
    top, left, height, width = place
    (found,) = head.predict([image]).images
    inside = model.seen[0, 0, top : top + height, left : left + width]
    assert np.allclose(inside * 255, 200) and model.seen.min() * 255 < 8
    moved = (WANTED - [left, top] * 2) * np.float32([shape[1] / width, shape[0] / height] * 2)
    expected = moved.clip(0, [shape[1], shape[0]] * 2)
    area = (expected[:, 2:] - expected[:, :2] > 0).all(axis=1)
    assert np.allclose(found.corners, expected[area], atol=1e-3)
    prepared = head.prepare(image)
    assert max(np.array(prepared.shape[:2]) / SIZE) == 1
    assert np.array_equal(head.prepare(prepared), prepared)
    again = head.predict([prepared]).images[0].corners
    assert np.allclose(again * ([shape[1] / width, shape[0] / height] * 2), found.corners, atol=1)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (Fake(out=np.zeros((1, 7, 30))), {"layout": "boxes-scores"}, r"out \(1, 7, 30\)"),
        (Fake(out=np.zeros((1, 9, 30))), {"layout": "yolo"}, r"4 \+ classes, n\) \(3 classes\)"),
        (Fake(b=np.zeros((1, 9, 4)), s=np.zeros((1, 9, 5))), {}, r"s \(1, 9, 5\)"),
        (Fake(b=np.zeros((1, 9, 4)), s=np.zeros((1, 8, 3))), {}, r"s \(1, 8, 3\)"),
        (Fake(b=np.zeros((9, 4)), s=np.zeros(9)), {"layout": "lists"}, r"labels \(n\)"),
        (Fake(b=np.zeros((1, 9, 4))), {"outputs": {"boxes": "box"}}, "an output 'box'"),
    ],
)
def test_a_wrong_layout_names_the_shapes(model: Fake, options: dict[str, Any], said: str) -> None:
    with pytest.raises(MismatchError, match=said):
        cf.get_task("detection").head(model, {"labels": LABELS, **options})


def test_options_are_checked() -> None:
    model, _ = models()["yolo"]
    task = cf.get_task("detection")
    with pytest.raises(SettingsError, match="layuot"):
        task.head(model, {"layuot": "yolo"})
    with pytest.raises(SettingsError, match="layout"):
        task.head(model, {"layout": "yolo9000"})
    with pytest.raises(SettingsError, match="crop"):
        task.head(model, {"layout": "yolo", "preprocess": {"crop": list(SIZE), "resize": 70}})
    with pytest.raises(SettingsError, match="exact"):
        cf.Preprocess(resize=8, fit="letterbox")


def test_settings_of_a_detector() -> None:
    model, _ = models()["boxes-scores"]

    def found(**options: Any) -> int:
        head = cf.get_task("detection").head(model, {"labels": LABELS, **options})
        return len(head.predict([np.zeros((*SIZE, 3), np.uint8)]).images[0])

    assert (found(), found(suppression=1), found(suppression=1, least=0.6)) == (2, 3, 2)
    assert (found(most=1), found(least=0.005, suppression=1)) == (1, 9)


@pytest.mark.parametrize("stride", [1, 4])
def test_maps_of_any_stride(stride: int) -> None:
    rows, columns = SIZE[0] // stride, SIZE[1] // stride
    classes = np.zeros((rows, columns), np.int64)
    classes[rows // 2 :] = 2
    scores = np.eye(3, dtype=np.float32)[classes].transpose(2, 0, 1)
    image = np.zeros((32, 48, 3), np.uint8)
    for output in (classes[None], scores[None], scores.transpose(1, 2, 0)[None]):
        head = cf.get_task("segmentation").head(Fake(out=output), {"labels": LABELS})
        (found,) = head.predict([image]).images
        assert found.shape == (32, 48) and found.dtype == np.uint8
        assert (found[:15] == 0).all() and (found[17:] == 2).all()
    with pytest.raises(MismatchError, match=r"out \(1, 5, 64, 96\)"):
        cf.get_task("segmentation").head(Fake(out=np.zeros((1, 5, *SIZE))), {"labels": LABELS})


def test_classes_and_vectors() -> None:
    image = np.zeros((*SIZE, 3), np.uint8)
    chances = np.float32([[0.9, 0.5, 0.1]])
    head = cf.get_task("multilabel").head(Fake(p=chances), {"labels": LABELS})
    assert head.task.to_json(head.predict([image]))[0]["classes"][0]["label"] == "cat"
    assert np.allclose(1 / (1 + np.exp(-head.predict([image]).scores)), chances)
    with pytest.raises(MismatchError, match="not `outputs: sigmoid`"):
        cf.get_task("multilabel").head(Fake(p=chances * 9), {}).predict([image])
    logits = cf.get_task("multilabel").head(Fake(p=chances * 9), {"outputs": "logits"})
    assert len(logits.predict([image, image])) == 2
    model = Fake(a=np.zeros((1, 8, 2, 2)), b=np.ones((1, 5)))
    vectors = cf.get_task("embedding").head(model, {"output": "a"})
    assert vectors.predict([image] * 3).vectors.shape == (3, 32)
    assert len(vectors.predict([])) == 0


def detector_file(folder: Path) -> Path:
    """A description file of `models.detector`, of images of 32x32."""
    detector(folder / "detector.onnx", 32)
    text = "model: detector.onnx\ntask: detection\nlabels: [cat, dog, fox]\n"
    (folder / "detector.yaml").write_text(text)
    return folder / "detector.yaml"


def test_a_description_file_opens_a_detector(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    head = cf.get_head(str(detector_file(tmp_path)))
    assert (head.task.name, head.metric, head.input_shape) == ("detection", "mAP", (32, 32))
    red = np.zeros((64, 32, 3), np.uint8) + np.uint8([230, 0, 0])
    (found,) = head.predict([red]).images
    assert found.corners.tolist() == [[2, 4, 20, 40]]
    assert head.predict([red]).label(int(found.classes[0])) == "cat"
    (tmp_path / "detector.yaml").write_text("model: detector.onnx\ntask: detecton\n")
    with pytest.raises(cf.UnknownNameError, match="detection"):
        cf.get_head(str(tmp_path / "detector.yaml"))


def test_torch_files_open_as_heads_of_any_task(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Rows(torch.nn.Module):
        def forward(self, x):
            scores = x.mean((2, 3))[:, None]
            return {"boxes": torch.tensor([[[2.0, 2, 20, 20]]]), "scores": scores}

    program = torch.export.export(Rows().eval(), (torch.zeros(1, 3, 32, 32),))
    torch.export.save(program, tmp_path / "rows.pt2")
    text = "model: rows.pt2\ntask: {}\nlabels: [cat, dog, fox]\n"
    (tmp_path / "head.yaml").write_text(text.format("detection"))
    red = np.zeros((64, 32, 3), np.uint8) + np.uint8([230, 0, 0])
    (found,) = cf.get_head(str(tmp_path / "head.yaml")).predict([red]).images
    assert found.corners.tolist() == [[2, 4, 20, 40]] and found.classes.tolist() == [0]
    (tmp_path / "other.yaml").write_text(text.format("embedding") + "output: scores\n")
    head = cf.get_head(str(tmp_path / "other.yaml"))
    assert head.predict([red, red]).vectors.shape == (2, 3)


def test_a_detector_says_what_it_minds(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    head = cf.get_head(str(detector_file(tmp_path)))
    red = np.zeros((32, 32, 3), np.uint8) + np.uint8([130, 0, 0])
    (slopes,) = head.pixel_gradients([red], None)
    assert slopes.shape == red.shape and slopes.dtype == np.float32
    # the score is the mean of red alone: 1 / (s (1 - s)) is its weight, 1 / (255 * 1024) its slope
    share = 130 / 255
    assert np.allclose(
        np.abs(slopes[..., 0]), (share * (1 - share)) ** -0.5 / 255 / 1024, rtol=1e-3
    )
    assert (slopes[..., 1:] == 0).all()
