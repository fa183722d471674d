"""Drawing predictions on pictures."""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from codecframe.core.image import Image

_TRUTH = (255, 255, 255)
_INK = (0, 0, 0)


def colour_of(name: str) -> tuple[int, int, int]:
    """A strong colour for a name, the same wherever it is drawn."""
    hue = hashlib.sha256(name.encode()).digest()[0] / 256
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_boxes(
    image: Image,
    boxes: Sequence[Sequence[float]],
    texts: Sequence[str],
    kinds: Sequence[str],
    truth: Sequence[Sequence[float]] = (),
) -> Image:
    """The image with boxes.

    Args:
        image: `uint8`, (height, width, 3).
        boxes: x0, y0, x1, y1 in pixels.
        texts: what is written at each.
        kinds: by which they are coloured, one a box.
        truth: further boxes, dashed in white.
    """
    picture = PilImage.fromarray(image)
    draw = ImageDraw.Draw(picture)
    line = max(1, round(max(picture.size) / 250))
    font = ImageFont.load_default(max(10, round(max(picture.size) / 32)))
    for corners in truth:
        _dashed(draw, _inside(corners, picture), line)
    for corners, kind in zip(boxes, kinds, strict=True):
        draw.rectangle(_inside(corners, picture), outline=colour_of(kind), width=line)
    for corners, text, kind in zip(boxes, texts, kinds, strict=True):  # at the box's top left
        at = _inside(corners, picture)[:2]
        left, top, right, bottom = draw.textbbox(at, text, font=font)
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=colour_of(kind))
        draw.text(at, text, _INK, font)
    return np.asarray(picture)


def draw_classes(
    image: Image, classes: npt.NDArray[np.integer], names: Sequence[str], ignored: int
) -> Image:
    """The image under a map of classes, each in a colour of its own; `ignored` is left clear.

    Args:
        image: `uint8`, (height, width, 3).
        classes: class indices, (height, width).
        names: by which classes are coloured; those without one by their number.
        ignored: of the class map, what is not drawn.
    """
    made = image.astype(np.float32)
    for index in np.unique(classes):
        if index != ignored:
            name = names[index] if index < len(names) else str(index)
            where = classes == index
            made[where] = 0.5 * made[where] + 0.5 * np.array(colour_of(name), np.float32)
    return np.asarray(made.round(), np.uint8)


def _inside(corners: Sequence[float], picture: PilImage.Image) -> tuple[float, float, float, float]:
    """Corners in order, within the picture."""
    x = sorted(min(max(corners[i], 0), picture.width - 1) for i in (0, 2))
    y = sorted(min(max(corners[i], 0), picture.height - 1) for i in (1, 3))
    return x[0], y[0], x[1], y[1]


def _dashed(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], line: int) -> None:
    x0, y0, x1, y1 = box
    for ends in ((x0, y0, x1, y0), (x1, y0, x1, y1), (x1, y1, x0, y1), (x0, y1, x0, y0)):
        start, end = np.array(ends[:2]), np.array(ends[2:])
        dashes = max(1, round(float(np.abs(end - start).sum()) / (8 * line)))
        for i in range(dashes):
            part = [start + (end - start) * share for share in (i / dashes, (i + 0.5) / dashes)]
            draw.line([tuple(point) for point in part], fill=_TRUTH, width=line)
