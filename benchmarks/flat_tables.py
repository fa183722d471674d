r"""JPEG tables with all steps alike: for a classifier that is trained on what they leave.

Such a classifier minds errors of all frequencies about alike. Huffman tables are made for the
images.

    python benchmarks/flat_tables.py --images cifar10:train --limit 5000 --bpp 0.8
"""

from __future__ import annotations

import argparse
from bisect import bisect_left
from pathlib import Path

import numpy as np

from codecframe.image import Image
from codecframe.images import open_images
from codecframe.preset import Preset
from codecframe.scaling import reduced
from codecframe_jpeg import huffman
from codecframe_jpeg.codec import JpegCodec
from codecframe_jpeg.coefficients import quantised
from codecframe_jpeg.scan import symbols_of
from codecframe_jpeg.settings import JpegSettings

CODEC = JpegCodec()


def flat(step: int, images: list[Image], said: argparse.Namespace) -> JpegSettings:
    """Settings with this step for luma, and the best Huffman tables for the images."""
    steps = step, max(1, round(step * said.chroma))
    settings = JpegSettings(
        scale=said.scale,
        quality=50,
        subsampling=said.subsampling,
        qtables=tuple((each,) * 64 for each in steps),
        deadzone=said.deadzone,
    )
    small = np.stack([reduced(image, said.scale) for image in images])
    counts = 1 + np.stack(symbols_of(quantised(small, settings)).counts())
    return settings.replace(huffman=huffman.tables_from(counts.tolist()))


def rate(settings: JpegSettings, images: list[Image]) -> float:
    """Mean bare rate in bits per pixel."""
    bodies = [CODEC.strip(data) for data in CODEC.encode_many(images, settings)]
    return 8 * sum(map(len, bodies)) / sum(image[..., 0].size for image in images)


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
    parser.add_argument("--deadzone", type=float, default=0.1)
    parser.add_argument("--output", "-o", type=Path, default=Path("flat.yaml"))
    said = parser.parse_args()
    items = open_images(said.images, limit=said.limit, data_root=said.data_root)
    images = [item.read() for item in items]

    def fits(step: int) -> bool:
        return rate(flat(step, images, said), images) <= said.bpp

    settings = flat(1 + bisect_left(range(1, 255), True, key=fits), images, said)
    how = {name: value for name, value in vars(said).items() if name not in ("output", "data_root")}
    Preset("jpeg", settings.changed(), {"search": "flat tables", **how}).write(said.output)


if __name__ == "__main__":
    main()
