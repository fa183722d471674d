from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from toys import picture

from codecframe.evaluation.report import SheetRow, Shown, contact_sheet

GREEN, RED = (26, 127, 55), (207, 34, 46)


def opened(png: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as found:
        return np.asarray(found.convert("RGB"))


def holds(sheet: npt.NDArray[np.uint8], tile: npt.NDArray[np.uint8]) -> bool:
    """Whether the tile is somewhere in the sheet, pixel by pixel."""
    height, width = tile.shape[:2]
    corners = np.argwhere((sheet[:-height, :-width] == tile[0, 0]).all(axis=2))
    return any(np.array_equal(sheet[y : y + height, x : x + width], tile) for y, x in corners)


def counts(sheet: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((sheet == colour).all(axis=2).sum())


@pytest.mark.parametrize(("side", "factor"), [(32, 6), (100, 2), (224, 1), (512, 1)])
def test_pictures_are_enlarged_by_whole_factors(side: int, factor: int) -> None:
    image = picture(1, side, side)
    sheet = opened(contact_sheet(["original"], [SheetRow("a", (Shown(image),))]))
    assert holds(sheet, image.repeat(factor, axis=0).repeat(factor, axis=1))


def test_large_pictures_are_shrunk() -> None:
    sheet = opened(contact_sheet(["x"], [SheetRow("a", (Shown(picture(1, 300, 1500)),))]))
    assert sheet.shape[1] < 600


def test_marks_say_whether_the_head_agrees() -> None:
    image = np.full((64, 64, 3), 128, np.uint8)
    marks = {}
    for agrees in (True, False, None):
        shown = Shown(image, size=90, says="tabby 62 %", agrees=agrees)
        sheet = opened(contact_sheet(["x"], [SheetRow("a", (shown,))]))
        marks[agrees] = counts(sheet, GREEN), counts(sheet, RED)
    assert marks[True][0] > 500 and marks[True][1] == 0
    assert marks[False][1] > 500 and marks[False][0] == 0
    assert marks[None] == (0, 0)


def test_captions() -> None:
    shown = Shown(np.zeros((32, 32, 3), np.uint8), size=128, says="cat 9 %", note="best")
    assert shown.lines == ["128 B, 1.00 bpp", "cat 9 %", "best"]
    assert Shown(None, note="does not fit").lines == ["does not fit"]


def test_long_names_and_missing_pictures_keep_the_layout() -> None:
    image = picture(3, 64, 48)
    short = SheetRow("a", (Shown(image), Shown(None, note="x")))
    long = SheetRow("name " * 90, (Shown(image), Shown(None, note="why \n" * 90)))
    sheets = [opened(contact_sheet(["a", "b\nc"], [row], title="t")) for row in (short, long)]
    assert sheets[0].shape == sheets[1].shape
    assert not np.array_equal(*sheets)


def test_pictures_of_several_sizes() -> None:
    rows = [SheetRow(str(i), (Shown(picture(i, 40 + 90 * i, 64)),)) for i in range(3)]
    sheet = opened(contact_sheet(["x"], rows))
    assert holds(sheet, rows[2].pictures[0].image)


@pytest.mark.parametrize(
    ("columns", "rows"), [([], []), (["a"], []), (["a", "b"], [SheetRow("x", (Shown(None),))])]
)
def test_nothing_to_draw(columns: list[str], rows: list[SheetRow]) -> None:
    with pytest.raises(ValueError, match="contact sheet"):
        contact_sheet(columns, rows)
