"""Whether promises are kept, and what a level for each image saves at the same promise.

    python benchmarks/keep.py cifar10:test vae cifar10-vae --levels 0,3,6,9,12 \
        --keep score=0.9 -o keep.json

Every image is encoded at some levels, and the head's answers are kept. Then, over random splits of
the images: levels for each image are fitted on some of them, the cheapest way that surely keeps
what was asked is found on others (`codecframe.core.guarantees`), and checked on the rest.

* `one level`: the same for all images; between two levels a share of the images, by chance, has the
  lower one, so that coarse levels are no disadvantage.
* `bytes`: by the image's bytes at the lowest level, which every encoder knows.
* `confidence`: by the head's confidence in the image at the lowest level, which a camera would need
  the head for: what a light head could save at most.

Levels for each image are those of `codecframe.rate.perimage`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe as cf
from codecframe.core import guarantees
from codecframe.evaluation.results import write_results
from codecframe.rate import Keep, Outcomes
from codecframe.rate.perimage import candidates

_BATCH = 250
_NO_DATE: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".png": {}}
_FIT, _CALIBRATE = 0.2, 0.2
"""Shares of the images."""

Floats = npt.NDArray[np.float64]
Levels = npt.NDArray[np.int64]


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """Bytes, right or wrong, and confidence, (images, levels)."""
    codec, head = cf.get_codec(arguments.codec), cf.get_head(arguments.head)
    judge = cf.get_head(head.reference) if head.reference else head
    levels = [int(level) for level in arguments.levels.split(",")]
    items = cf.open_images(arguments.images, limit=arguments.limit)
    parts: dict[str, list[Any]] = {"bytes": [], "agreement": [], "score": [], "confidence": []}
    for some in cf.chunks(items, _BATCH):
        images = [head.prepare(item.read()) for item in some]
        pseudo = judge.pseudo_targets(judge.predict(images)) if judge.accepts == cf.PIXELS else None
        rows: dict[str, list[Any]] = {name: [] for name in parts}
        for level in levels:
            settings = codec.settings().at_level(level)
            datas = codec.encode_many(images, settings)
            prediction = head.predict(cf.decode_for(codec, head, datas))
            rows["bytes"].append([len(codec.strip(data)) for data in datas])
            rows["confidence"].append(prediction.probabilities.max(axis=1))
            targets = [item.target for item in some]
            known = targets[0] is not None
            rows["score"].append(head.score(prediction, targets) if known else [np.nan] * len(some))
            agree = head.score(prediction, pseudo) if pseudo is not None else [np.nan] * len(some)
            rows["agreement"].append(agree)
        for name, found in rows.items():
            parts[name].append(np.array(found, np.float64).T)
    return {"levels": levels, **{name: np.concatenate(found) for name, found in parts.items()}}


def by_difficulty(
    difficulty: Floats, size: Floats, right: Floats, fit: Levels, keep: Keep
) -> list[Levels]:
    """Levels for each image, the safest way first."""
    every = [_outcomes(keep, right[fit, level]) for level in range(size.shape[1])]
    tables = candidates(difficulty[fit], size[fit], every, keep)
    return [np.array(t.levels)[np.searchsorted(t.edges, difficulty)] for t in tables]


def mixed(n: int, levels: int, rng: np.random.Generator) -> list[Levels]:
    """One level, and between two levels ten mixtures by chance: as if levels were finer."""
    chance = rng.random(n)
    return [
        np.where(chance < share, level - 1, level)
        for level in range(levels - 1, 0, -1)
        for share in np.linspace(0, 1, 11)
    ]


def study(found: dict[str, Any], keep: Keep, splits: int) -> list[dict[str, Any]]:
    """A row for each way to choose levels."""
    size, n = found["bytes"], len(found["bytes"])
    right = found["score"] if keep.needs_labels else found["agreement"]
    rng = np.random.default_rng(0)
    ways = {
        "one level": None,
        "bytes": size[:, 0],
        "confidence": -found["confidence"][:, 0],
    }
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(splits):
        order = rng.permutation(n)
        fit, calibrate = order[: int(_FIT * n)], order[int(_FIT * n) : int((_FIT + _CALIBRATE) * n)]
        check = order[int((_FIT + _CALIBRATE) * n) :]
        for name, difficulty in ways.items():
            if difficulty is None:
                ordered = mixed(n, size.shape[1], rng)
            else:
                ordered = by_difficulty(difficulty, size, right, fit, keep)
            index = np.arange(n)
            p_values = (
                keep.p_value(_outcomes(keep, right[calibrate, way[calibrate]])) for way in ordered
            )
            sure = guarantees.sequence(p_values, keep.error)
            if sure:
                way = ordered[sure - 1]
                sizes, rights = size[index, way][check], right[index, way][check]
                results[name].append((float(sizes.mean()), float(rights.mean())))
    return [_row(name, every, keep, splits) for name, every in results.items()]


def _outcomes(keep: Keep, right: Floats) -> Outcomes:
    return Outcomes(None, right) if keep.needs_labels else Outcomes(right)


def _row(
    name: str, every: Sequence[tuple[float, float]], keep: Keep, splits: int
) -> dict[str, Any]:
    sizes, kept = np.array(every).T if every else (np.array([]), np.array([]))
    broken = int((kept < keep.least).sum())
    return {
        "levels": name,
        "promised": str(keep),
        "splits": splits,
        "promises": len(every),
        "broken": broken,
        "bytes": float(sizes.mean()) if every else None,
        "kept": float(kept.mean()) if every else None,
    }


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Bytes of each way, for each promise, beside the table as SVG and PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    promises = list(dict.fromkeys(row["promised"] for row in rows))
    ways = list(dict.fromkeys(row["levels"] for row in rows))
    figure, axes = pyplot.subplots(figsize=(7.2, 3.6), layout="constrained")
    for i, (way, colour) in enumerate(zip(ways, ("#7f7f7f", "#0072b2", "#d55e00"), strict=True)):
        mine = [row["bytes"] or np.nan for row in rows if row["levels"] == way]
        axes.bar(np.arange(len(promises)) + 0.27 * (i - 1), mine, 0.25, label=way, color=colour)
    axes.set_xticks(range(len(promises)), promises)
    axes.set_ylabel("payload bytes an image")
    axes.set_title(
        f"{rows[0]['codec']}, {rows[0]['images']}: bytes at the same promise", loc="left"
    )
    axes.legend(frameon=False, title="levels")
    axes.spines[["top", "right"]].set_visible(False)
    for suffix in (".svg", ".png"):
        figure.savefig(path.with_suffix(suffix), dpi=110, metadata=_NO_DATE[suffix])
    pyplot.close(figure)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images")
    parser.add_argument("codec")
    parser.add_argument("head")
    parser.add_argument("--levels", required=True)
    parser.add_argument("--keep", action="append", required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--output", "-o", required=True, type=Path, help="with a plot beside it")
    arguments = parser.parse_args()
    found = measured(arguments)
    rows = []
    for text in arguments.keep:
        for row in study(found, Keep(text), arguments.splits):
            saved = None
            if row["levels"] != "one level" and row["bytes"] and rows and rows[-1]["bytes"]:
                one = next(r for r in rows[::-1] if r["levels"] == "one level")
                saved = 1 - row["bytes"] / one["bytes"]
            rows.append(
                {"images": arguments.images, "codec": arguments.codec, **row, "saved": saved}
            )
    notes = (
        "Bytes and what was kept are means over the splits, of images that were not seen before."
    )
    command = (
        f"python benchmarks/keep.py {arguments.images} {arguments.codec} {arguments.head} "
        f"--levels {arguments.levels} " + " ".join(f"--keep {text}" for text in arguments.keep)
    )
    write_results(arguments.output, "keep", command, rows, notes)
    plot(rows, arguments.output)
    print(cf.BenchmarkTable(rows, notes))


if __name__ == "__main__":
    main()
