"""A detector behind codecs: profiles, selection, reports, classify; boxes through transforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageDraw

import codecframe as cf
from codecframe.core.errors import MismatchError
from codecframe.evaluation.profile import ProfileTable

pytest.importorskip("pycocotools")


class Finder(cf.TaskHead):
    """Finds the box around what is redder than it is green; less sure, the less red it is."""

    name, labels = "finder", ("red", "blue")
    task = cf.get_task("detection")
    metric = task.metric

    def prepare(self, image):
        picture = PilImage.fromarray(image)
        return image if image.shape[:2] == (48, 64) else np.asarray(picture.resize((64, 48)))

    def predict(self, batch):
        return cf.Detections(tuple(map(self._found, batch)), self.labels)

    def _found(self, image):
        ready = self.prepare(image)
        red = ready[..., 0].astype(int) - ready[..., 1]
        rows, columns = np.nonzero(red > 60)
        if not len(rows):
            return cf.Boxes([], [])
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        back = [image.shape[1] / 64, image.shape[0] / 48] * 2
        return cf.Boxes([np.multiply(box, back)], [0], [min(1, red.max() / 255)])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eight pictures of noise with a red patch, and where it is."""
    rng = np.random.default_rng(0)
    rows = ["file,label,x0,y0,x1,y1"]
    for number in range(8):
        noise = rng.integers(60, 120, (96, 128), np.uint8)
        picture = PilImage.fromarray(np.stack([noise] * 3, axis=2))
        x, y = rng.integers(8, 80), rng.integers(8, 60)
        ImageDraw.Draw(picture).rectangle((x, y, x + 25, y + 19), (220, 30, 40))
        picture.save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,red,{x},{y},{x + 26},{y + 20}")
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    return tmp_path


def test_a_detector_is_profiled_selected_for_and_reported(photos: Path) -> None:
    kwargs = {"codecs": ["jpeg", "png"], "levels": [2, 80]}
    profile = cf.profile(
        photos, Finder(), labels=photos / "boxes.csv", output=photos / "a.profile", **kwargs
    )
    with profile.open() as table:
        assert (table.meta["task"], table.meta["metric"]) == ("detection", "mAP")
        rows = {row.point.settings.get("quality", "png"): row for row in table.rows()}
    assert rows["png"].score > 0.6 and rows["png"].figures["AP50"] == 1
    assert rows["png"].agreement == 1 and rows["png"].score_low < rows["png"].score
    assert rows[2].score < rows[80].score <= 1
    choice = profile.select("6bpp", mean=True)
    assert choice.measure == "mAP" and choice.winner.score == rows[80].score
    # stopped and gone on with: the same records, the same scores
    with ProfileTable.create(profile.path, profile.meta) as table:
        table.clear(1)
    again = cf.profile(
        photos, Finder(), labels=photos / "boxes.csv", output=photos / "a.profile", **kwargs
    )
    with again.open() as table:
        scores = {row.point.settings.get("quality", "png"): row.score for row in table.rows()}
    assert scores == {key: row.score for key, row in rows.items()}
    pytest.importorskip("matplotlib")
    page = profile.report(budget="6bpp", mean=True)
    assert "AP50 %" in page.html and "dashed" in page.html and "bootstrap" in page.html
    assert "agreement)" in page.html


def test_caps_mix_records_image_by_image(photos: Path) -> None:
    profile = cf.profile(
        photos, Finder(), codecs=["jpeg"], levels=[2, 80], labels=photos / "boxes.csv"
    )
    choice = profile.select("100kB")
    assert choice.winner.score == profile.select("9bpp", mean=True).winner.score > 0.5
    nothing = cf.select(
        photos, head=Finder(), budget="30B", codecs=["jpeg"], labels=photos / "boxes.csv"
    )
    assert nothing.winner is None and nothing.others[0].score == 0


def test_without_labels_a_detector_agrees_with_itself(photos: Path) -> None:
    choice = cf.select(
        [path for path in photos.iterdir() if path.suffix == ".png"],
        head=Finder(), budget="9bpp", codecs=["jpeg", "webp"], mean=True,
    )  # fmt: skip
    assert choice.measure == "agreement" and choice.winner.score > 0.9


def test_a_pipeline_is_evaluated_by_the_tasks_metric(photos: Path) -> None:
    items = cf.open_images(photos, labels=photos / "boxes.csv", task="detection")
    pipeline = cf.Pipeline("png", Finder())
    found = pipeline.evaluate((item.read() for item in items), [item.target for item in items])
    assert found.n == 8 and 0.6 < found.score <= 1
    with pytest.raises(MismatchError, match="fewer"):
        pipeline.evaluate([items[0].read()] * 2, [items[0].target])
    assert len(pipeline.predict([items[0].read()] * 3)) == 3


def test_classify_says_what_a_detector_finds(photos: Path) -> None:
    seen = cf.classify(photos / "0.png", Finder(), codec="png")
    assert seen.images[0].line == "red" and not seen.images[0].top
    (image,) = seen.to_dict()["images"]
    assert image["boxes"][0]["label"] == "red" and image["bytes"] > 0
    assert "red" in str(seen)


def test_boxes_pass_a_transform_untouched() -> None:
    torch = pytest.importorskip("torch")
    from codecframe.integrations.torch import CodecTransform

    image, boxes = torch.zeros(3, 32, 32, dtype=torch.uint8), torch.tensor([[1, 2, 3, 4]])
    target = {"boxes": boxes, "masks": torch.ones(1, 32, 32)}
    coded, same = CodecTransform("jpeg", knob=(10, 20))(image, target)
    assert coded.shape == image.shape and same is target
    assert torch.equal(CodecTransform("png")(image), image)
