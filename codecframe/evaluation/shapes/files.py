"""Scenes as files that every command takes: pictures, and the truth as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from codecframe.core.files import reported
from codecframe.core.image import to_png
from codecframe.core.outputs import write_unless_other
from codecframe.evaluation.shapes.scenes import CLASSES, cropped, draw_scene
from codecframe.images import read_image

DETECTOR = Path(__file__).with_name("detector.yaml")
"""The head that finds the shapes."""
_SHAPES = 6


def write_scenes(
    folder: Path, photos: Iterable[Path | str], *, force: bool = False
) -> tuple[list[Path], Path]:
    """Draw a scene over each photograph, the same whenever it is drawn.

    Args:
        folder: where they go.
        photos: image files.
        force: files with other content may be replaced.

    Returns:
        PNG files, and the CSV file with their boxes.

    Raises:
        OutputError: if a file cannot be written, or is there with other content.
    """
    with reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths, rows = [], io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(["file", "label", "x0", "y0", "x1", "y1"])
    for seed, photo in enumerate(photos):
        random = np.random.default_rng(seed)
        scene = draw_scene(cropped(read_image(photo), random), random, _SHAPES)
        paths.append(folder / f"{Path(photo).stem}.png")
        write_unless_other(paths[-1], to_png(scene.image), force=force)
        for corners, kind in zip(scene.corners.round(1).tolist(), scene.classes, strict=True):
            table.writerow([paths[-1].name, CLASSES[kind], *corners])
    truth = folder / "boxes.csv"
    write_unless_other(truth, rows.getvalue().encode(), force=force)
    return paths, truth
