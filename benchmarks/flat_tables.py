r"""JPEG tables with nearly all steps alike: for a classifier that is trained on what they leave.

Such a classifier minds errors of all frequencies about alike, those of low ones a little less.
Huffman tables are made for the images.

    python benchmarks/flat_tables.py --images cifar10:train --limit 3000 --bpp 0.8
"""

from __future__ import annotations

import argparse
from bisect import bisect_left
from pathlib import Path

import numpy as np

from codecframe.core.image import Image
from codecframe.core.presets import Preset
from codecframe.core.scaling import reduced
from codecframe.images import open_images
from codecframe_jpeg import huffman
from codecframe_jpeg.codec import JpegCodec
from codecframe_jpeg.coefficients import quantised
from codecframe_jpeg.scan import symbols_of
from codecframe_jpeg.settings import JpegSettings

CODEC = JpegCodec()
FREQUENCY = np.add.outer(np.arange(8), np.arange(8)).ravel()
GRAIN = 5 / 32
"""What steps are multiples of, before they are made whole."""


def table(step: float, slope: float) -> tuple[int, ...]:
    """64 steps, row by row, that change by a share of `slope` with each frequency.

    Fractions are rounded up from the highest frequencies on, so that rates between those of whole
    steps can be met.
    """
    rank = np.argsort(np.argsort(FREQUENCY, kind="stable")) / 64
    whole = np.floor(step * (1 + slope * FREQUENCY) + rank)
    return tuple(np.clip(whole, 1, 255).astype(int).tolist())


def flat(step: float, images: list[Image], said: argparse.Namespace) -> JpegSettings:
    """Settings with about this step for luma, and the best Huffman tables for the images."""
    settings = JpegSettings(
        scale=said.scale,
        quality=50,
        subsampling=said.subsampling,
        qtables=tuple(table(each, said.slope) for each in (step, step * said.chroma)),
        deadzone=said.deadzone,
    )
    small = np.stack([reduced(image, said.scale) for image in images])
    counts = 1 + np.stack(symbols_of(quantised(small, settings)).counts())
    return settings.replace(huffman=huffman.tables_from(counts.tolist()))


def rate(settings: JpegSettings, images: list[Image]) -> float:
    """Mean payload rate in bits per pixel."""
    payloads = [CODEC.strip(data) for data in CODEC.encode_many(images, settings)]
    return 8 * sum(map(len, payloads)) / sum(image[..., 0].size for image in images)


def main() -> None:
    """Find the finest step that the budget allows, and write the preset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", nargs="+", required=True, help="of one size")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--data-root")
    parser.add_argument("--bpp", type=float, required=True)
    parser.add_argument("--scale", type=float, default=0.75)
    parser.add_argument("--subsampling", default="4:4:4")
    parser.add_argument(
        "--chroma", type=float, default=1.35, help="steps of chroma for one of luma"
    )
    parser.add_argument("--slope", type=float, default=-0.01, help="change with each frequency")
    parser.add_argument("--deadzone", type=float, default=0.0)
    parser.add_argument("--output", "-o", type=Path, default=Path("flat.yaml"))
    said = parser.parse_args()
    items = open_images(said.images, limit=said.limit, data_root=said.data_root)
    images = [item.read() for item in items]

    def tables(grains: int) -> JpegSettings:
        return flat(grains * GRAIN, images, said)

    def fits(grains: int) -> bool:
        return rate(tables(grains), images) <= said.bpp

    steps = range(round(1 / GRAIN), round(255 / GRAIN))
    settings = tables(steps[bisect_left(steps, True, key=fits)])
    how = {name: value for name, value in vars(said).items() if name not in ("output", "data_root")}
    Preset("jpeg", settings.changed(), {"search": "flat tables", **how}).write(said.output)


if __name__ == "__main__":
    main()
