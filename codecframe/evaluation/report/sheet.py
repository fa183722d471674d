"""Contact sheets: the same images through several codecs, side by side on one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from codecframe.core.errors import OutputError
from codecframe.core.files import write_whole
from codecframe.core.image import Image

_PAPER, _INK, _FAINT, _EMPTY = "#ffffff", "#1f2328", "#59636e", "#eaeef2"
_GOOD, _BAD = "#1a7f37", "#cf222e"
_SMALLEST_TILE, _LARGEST_TILE = 192, 512
"""Sides in pixels between which pictures are brought; smaller ones unsmoothed, by whole factors."""
_GAP = 16
_QUALITY = 65
_FRAME = 3


@dataclass(frozen=True)
class Shown:
    """One picture of a contact sheet and what is written under it.

    Attributes:
        image: the picture, or None where there is none to show; `note` then says why.
        size: its counted bytes.
        says: what the head says of it.
        agrees: whether that is right (with labels) or what the head says of the uncompressed
            image; None draws no mark.
        note: what else to say.
    """

    image: Image | None
    size: int | None = None
    says: str = ""
    agrees: bool | None = None
    note: str = ""

    @property
    def rate(self) -> str:
        """Bytes and bits a pixel as words."""
        if self.image is None or self.size is None:
            return ""
        bpp = 8 * self.size / (self.image.shape[0] * self.image.shape[1])
        return f"{self.size} B, {bpp:.2f} bpp"

    @property
    def lines(self) -> list[str]:
        """The caption: rate, what the head says, note; those that there are."""
        return [line for line in (self.rate, self.says, self.note) if line]


@dataclass(frozen=True)
class SheetRow:
    """One image through all columns: its name and a picture for every column."""

    name: str
    pictures: tuple[Shown, ...]


@dataclass(frozen=True, repr=False)
class ContactSheet:
    """A drawn contact sheet, which a notebook shows.

    Attributes:
        png: a PNG file.
    """

    png: bytes

    def __repr__(self) -> str:
        return f"<contact sheet: {len(self.png)} bytes of PNG>"

    def _repr_jpeg_(self) -> bytes:
        """The sheet as a notebook keeps it: small."""
        buffer = io.BytesIO()
        with PilImage.open(io.BytesIO(self.png)) as picture:
            picture.convert("RGB").save(buffer, "JPEG", quality=_QUALITY, optimize=True)
        return buffer.getvalue()

    def save(self, path: Path | str) -> None:
        """Write it whole, as PNG.

        Raises:
            OutputError: if it cannot be written, or the name does not end in `.png`.
        """
        if Path(path).suffix.lower() != ".png":
            raise OutputError(str(path), "a contact sheet's file is named .png")
        write_whole(path, self.png)


def says(label: str, probability: float) -> str:
    """A head's choice in words: `tabby 62 %`."""
    return f"{label} {100 * probability:.0f} %"


def contact_sheet(columns: Sequence[str], rows: Sequence[SheetRow], *, title: str = "") -> bytes:
    """Draw a labelled grid of pictures.

    Args:
        columns: headings, of one or several lines.
        rows: one for every image, each with as many pictures as there are columns.
        title: written on top.

    Returns:
        A PNG file.

    Raises:
        ValueError: if there is nothing to draw, or a row has not one picture a column.
    """
    if not columns or not rows or any(len(row.pictures) != len(columns) for row in rows):
        raise ValueError("a contact sheet needs rows with one picture for every column")
    buffer = io.BytesIO()
    _Sheet(columns, rows, title).draw().save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


class _Sheet:
    """A sheet being laid out: one tile size and one font size for all."""

    def __init__(self, columns: Sequence[str], rows: Sequence[SheetRow], title: str) -> None:
        self._columns, self._rows, self._title = columns, rows, title
        self._tiles = [[_tile(shown.image) for shown in row.pictures] for row in rows]
        drawn = [tile for tiles in self._tiles for tile in tiles if tile is not None]
        self._width = max((tile.width for tile in drawn), default=_SMALLEST_TILE)
        text = min(max(self._width // 14, 14), 26)
        self._font = ImageFont.load_default(text)
        self._heading = ImageFont.load_default(text * 1.25)
        self._line = round(text * 1.4)

    def draw(self) -> PilImage.Image:
        """The finished sheet."""
        headings = self._line * max(column.count("\n") + 1 for column in self._columns)
        top = _GAP + (2 * self._line if self._title else 0) + headings + _GAP
        heights = [self._row_height(i) for i in range(len(self._rows))]
        size = (_GAP + len(self._columns) * (self._width + _GAP), top + sum(heights))
        self._sheet = PilImage.new("RGB", size, _PAPER)
        self._draw = ImageDraw.Draw(self._sheet)
        if self._title:
            room = size[0] - 2 * _GAP
            self._text((_GAP, _GAP), self._title, room, font=self._heading)
        for column, heading in enumerate(self._columns):
            for i, line in enumerate(reversed(heading.split("\n"))):
                at = (self._left(column), top - _GAP - (i + 1) * self._line)
                self._text(
                    at, line, self._width, fill=_FAINT if i == 0 and "\n" in heading else _INK
                )
        for row, height in enumerate(heights):
            self._draw_row(row, top)
            top += height
        return self._sheet

    def _left(self, column: int) -> int:
        return _GAP + column * (self._width + _GAP)

    def _tile_height(self, row: int) -> int:
        heights = [tile.height for tile in self._tiles[row] if tile is not None]
        return max(heights, default=_SMALLEST_TILE)

    def _row_height(self, row: int) -> int:
        lines = max(len(shown.lines) for shown in self._rows[row].pictures)
        return self._line * (lines + 1) + self._tile_height(row) + 2 * _GAP

    def _draw_row(self, row: int, top: int) -> None:
        room = self._sheet.width - 2 * _GAP
        self._text((_GAP, top), self._rows[row].name, room, fill=_FAINT)
        top += self._line + _FRAME
        height = self._tile_height(row)
        for column, shown in enumerate(self._rows[row].pictures):
            left = self._left(column)
            self._draw_tile(self._tiles[row][column], shown.agrees, (left, top), height)
            self._draw_caption(shown, (left, top + height + 2 * _FRAME))

    def _draw_tile(
        self, tile: PilImage.Image | None, agrees: bool | None, at: tuple[int, int], height: int
    ) -> None:
        if tile is None:
            self._draw.rectangle((*at, at[0] + self._width - 1, at[1] + height - 1), fill=_EMPTY)
            return
        if agrees is not None:
            box = (at[0] - _FRAME, at[1] - _FRAME, at[0] + tile.width + _FRAME - 1,
                   at[1] + tile.height + _FRAME - 1)  # fmt: skip
            self._draw.rectangle(box, fill=_GOOD if agrees else _BAD)
        self._sheet.paste(tile, at)

    def _draw_caption(self, shown: Shown, at: tuple[int, int]) -> None:
        left, top = at
        for line in shown.lines:
            indent = 0
            if line == shown.says and shown.agrees is not None:
                size = round(0.72 * self._line)
                mark = _mark(shown.agrees).resize((size, size), PilImage.Resampling.LANCZOS)
                self._sheet.paste(mark, (left, top + round(0.1 * self._line)))
                indent = self._line
            self._text((left + indent, top), line, self._width - indent)
            top += self._line

    def _text(
        self,
        at: tuple[int, int],
        text: str,
        room: int,
        *,
        font: ImageFont.FreeTypeFont | ImageFont.ImageFont | None = None,
        fill: str = _INK,
    ) -> None:
        font = font or self._font
        self._draw.text(at, _shortened(" ".join(text.split()), font, room), fill, font)


@cache
def _mark(agrees: bool) -> PilImage.Image:
    """A tick or a cross, drawn large to be shrunk, since fonts differ in which signs they have."""
    mark = PilImage.new("RGB", (100, 100), _PAPER)
    draw = ImageDraw.Draw(mark)
    draw.ellipse((0, 0, 99, 99), fill=_GOOD if agrees else _BAD)
    strokes = [[(25, 52), (44, 72), (76, 30)]]
    if not agrees:
        strokes = [[(30, 30), (70, 70)], [(30, 70), (70, 30)]]
    for stroke in strokes:
        draw.line(stroke, _PAPER, 12, joint="curve")
    return mark


def _tile(image: Image | None) -> PilImage.Image | None:
    """The picture at the size at which it is drawn."""
    if image is None:
        return None
    picture = PilImage.fromarray(image)
    longest = max(picture.size)
    if longest > _LARGEST_TILE:
        picture.thumbnail((_LARGEST_TILE, _LARGEST_TILE), PilImage.Resampling.LANCZOS)
        return picture
    factor = ceil(_SMALLEST_TILE / longest)
    size = (picture.width * factor, picture.height * factor)
    return picture.resize(size, PilImage.Resampling.NEAREST)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> str:
    """The text, or as much of its beginning as fits, with an ellipsis."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "...") > room:
        text = text[:-1]
    return text + "..."
