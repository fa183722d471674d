r"""JPEG tables by sorted random search: the baseline that `codecframe tune jpeg` is compared with.

Li, De Sa and Sampson, "Optimizing JPEG quantization for classification networks" (2020): draw the
64 steps of a table at random, sort them, lay them along the zigzag, keep the best. All else is as
in `codecframe tune`: the same objective, the same halves of the images, the same other trials.

    python benchmarks/baselines/sorted_random_search.py \
        --images DIR --head HEAD --budget 0.8bpp -o srs.yaml
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import codecframe
from codecframe.images import open_images
from codecframe.rate import Budget
from codecframe.tuning import Objective, Score, tune
from codecframe_jpeg.allocation import as_table
from codecframe_jpeg.codec import JpegCodec
from codecframe_jpeg.settings import JpegSettings


class SortedRandomJpeg(JpegCodec):
    """JPEG that tunes itself in that way."""

    def tune(
        self, base: JpegSettings, objective: Objective, *, trials: int, seed: int, slowest: float
    ) -> Iterator[Score]:
        """Random tables, sorted."""
        del slowest  # libjpeg is as fast with any tables
        rng = np.random.default_rng(seed)
        for _ in range(trials):
            tables = tuple(as_table(np.sort(rng.integers(1, 256, 64))) for _ in range(2))
            yield objective.measure(self, base.replace(qtables=tables, quality=50))


def main() -> None:
    """Search, and write the preset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", nargs="+", required=True)
    parser.add_argument("--labels")
    parser.add_argument("--where", nargs="*", default=[], metavar="COLUMN=VALUE")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--data-root")
    parser.add_argument("--head", required=True)
    parser.add_argument("--budget", required=True)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", "-o", type=Path, default=Path("srs.yaml"))
    said = parser.parse_args()
    where = dict(pair.split("=", 1) for pair in said.where) or None
    items = open_images(
        said.images, labels=said.labels, where=where, limit=said.limit, data_root=said.data_root
    )
    found = tune(
        SortedRandomJpeg(),
        codecframe.get_head(said.head),
        items,
        Budget.parse(said.budget, mode="mean"),
        trials=said.trials,
        seed=said.seed,
        work=said.output.with_suffix(".trials"),
        made={"search": "sorted random search", "trials": said.trials, "seed": said.seed},
    )
    found.preset.write(said.output)
    print(f"{said.output}: {found.preset.scored['held-out']}")


if __name__ == "__main__":
    main()
