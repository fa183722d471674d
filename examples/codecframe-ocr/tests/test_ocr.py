"""Text keeps codecframe's contract for tasks, and RapidOCR that for heads."""

import importlib.util

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import codecframe
from codecframe.testing import HeadContract, TaskContract, natural_image
from codecframe_ocr.head import RapidOcrHead
from codecframe_ocr.task import TEXT, Line, Readings, edits

SQUARE = ((2.0, 2.0), (30.0, 2.0), (30.0, 12.0), (2.0, 12.0))
needs_rapidocr = pytest.mark.skipif(
    importlib.util.find_spec("rapidocr_onnxruntime") is None, reason="rapidocr is not installed"
)


def sign(*lines: str) -> codecframe.Image:
    """Text on paper, 24 pixels high."""
    picture = Image.new("RGB", (200, 40 * len(lines) + 10), (240, 240, 235))
    font = ImageFont.load_default(24)
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((12, 40 * number + 10), line, (20, 20, 20), font)
    return np.asarray(picture)


class TestText(TaskContract):
    task = TEXT

    def prediction(self):
        lines = [("Exit", 0.9), ("Platform 9", 0.8), ("no entry", 0.7)]
        each = [(Line(text, score, SQUARE),) for text, score in lines]
        return Readings((*each, (), each[0] + each[2]))

    def truths(self):
        return ["Exit", "Platform  4", "", "No entry", "Exit\nno entry"]


@needs_rapidocr
class TestRapidOcr(HeadContract):
    head = RapidOcrHead()

    def samples(self):
        return [sign("Exit"), sign("Track 9"), natural_image(33, 47)]


@pytest.mark.parametrize(
    ("text", "other", "distance"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("ab", "ba", 2)],
)
def test_edits_are_counted(text, other, distance):
    assert edits(text, other) == edits(other, text) == distance


def test_truth_is_a_table_of_texts(tmp_path):
    (tmp_path / "texts.csv").write_text('file,text,split\na.png,"Exit  9",eval\nb.png,No,tune\n')
    images = [str(tmp_path / name) for name in ("a.png", "b.png")]
    found = TEXT.read_truth(str(tmp_path / "texts.csv"), {"split": "eval"}, images)
    assert found == ["Exit  9", None]


@needs_rapidocr
def test_profile_and_selection_follow(tmp_path):
    Image.fromarray(sign("Total 12.50", "Thank you")).save(tmp_path / "bill.png")
    (tmp_path / "texts.csv").write_text("file,text\nbill.png,Total 12.50 Thank you\n")
    profile = codecframe.profile(
        str(tmp_path / "bill.png"), "rapidocr", codecs=["webp"], rates=[1.5],
        labels=tmp_path / "texts.csv",
    )  # fmt: skip
    choice = profile.select(budget="1.5bpp").to_dict()
    assert choice["measure"] == "character agreement"
    assert choice["winner"]["score"] > 0.8
