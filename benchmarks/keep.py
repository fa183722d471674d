"""Whether promises are kept, and what a level for each image saves at the same promise.

    python benchmarks/keep.py --records keep-records -o keep.json

Every image is encoded at some levels, and the head's answers are kept in files under `--records`.
The images are then all that there is: calibration sets are drawn from them at random, with
replacement, so that what is truly kept is known, and a promise is broken or it is not.

`promises`: the lowest level that surely keeps what was asked, by fixed-sequence testing
(`codecframe.core.guarantees`), from 200 calibration sets. One promise of each kind is the hardest
to keep: just above what the middle level truly keeps.

`levels`: bytes at the same promise, where levels are chosen

* `one level`: the same for all images; between two levels a share of the images, by chance, has the
  lower one, so that coarse levels are no disadvantage.
* `bytes`: by the image's bytes at the lowest level, which every encoder knows.
* `light head`: by how sure two small convolutions are of what they see at the lowest level:
  latents, or a thumbnail of the decoded picture. They were trained on other images to say what the
  head says there.
* `whole head`: by the head's confidence itself, for which the camera would need the head: the most
  that a light head could save.

Levels for each image are those of `codecframe.LevelTable`: one image in three says which tables
could be tried; calibration sets are drawn from the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from keep_records import Records, Study, records, training
from keep_signals import light_head

import codecframe as cf
from codecframe.core import guarantees
from codecframe.evaluation.results import write_results

SETS = 200
"""Calibration sets."""
_FIT = 3
_MIXTURES = 11
_NO_DATE: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".png": {}}

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def _cifar(
    codec: str, head: str, levels: Sequence[float], keeps: Sequence[str], limit: int
) -> Study:
    return Study(
        f"CIFAR-10, {limit} test images", "cifar10:test", codec, head, tuple(levels), tuple(keeps),
        1500, "cifar10:train", (limit, 20000 if codec == "vae" else 3000),
    )  # fmt: skip


def _photos(
    root: Path, codec: str, head: str, levels: Sequence[float], limits: tuple[int, int]
) -> Study:
    sample = root / "imagenet-sample"
    return Study(
        f"{limits[0]} photographs of ImageNet", str(sample), codec, head, tuple(levels),
        ("85%", "90%"), 300, str(root / "photos"), limits, str(sample / "labels.csv"),
    )  # fmt: skip


def studies(root: Path) -> list[Study]:
    """Three codecs on two sets of images; `root` has those that are not of CIFAR-10."""
    scores = ("score=0.88", "score=0.9", "score=0.91")
    mixed = ("90%", "95%", "score=0.85")
    return [
        _cifar("vae", "cifar10-vae", (0, 3, 6, 9, 12, 15), scores, 3000),
        _photos(root, "efficientnet-vae", "efficientnet-vae", (0, 3, 6, 9, 12, 15), (400, 2500)),
        _cifar("jpeg", "cifar10-jpeg", (10, 25, 50, 70, 85, 94), mixed, 3000),
        _photos(root, "jpeg", "efficientnet-lite0", (15, 30, 50, 70, 82, 92), (400, 800)),
        _cifar("avif", "cifar10", (30, 60, 78, 88, 95), mixed, 2000),
        _photos(root, "avif", "efficientnet-lite0", (20, 35, 50, 70), (200, 200)),
    ]


# -- promises --------------------------------------------------------------------------------


def promises(study: Study, found: Records) -> list[dict[str, Any]]:
    """How often promises about one level are broken."""
    return [_promise(study, found, keep) for keep in _hardest(found)]


def _hardest(found: Records) -> Iterable[cf.Keep]:
    """Of each kind a promise that the middle level just misses, and one that it just keeps."""
    everything = np.arange(len(found.bytes))
    for text in ("50%", "50%-of-score", "score=0.5"):
        try:
            outcomes = found.outcomes(cf.Keep(text), everything)
            kept = 100 * cf.Keep(text).kept(outcomes[len(outcomes) // 2])
        except (cf.MismatchError, ValueError):
            continue
        for share in (np.floor(10 * kept + 1) / 10, np.floor(kept - 1)):
            if share >= 100:
                continue
            if "=" in text:
                yield cf.Keep(f"score={share / 100:.3f}")
            else:
                yield cf.Keep(text.replace("50", f"{share:g}"))


def _promise(study: Study, found: Records, keep: cf.Keep) -> dict[str, Any]:
    n, levels = found.bytes.shape
    truth = [keep.kept(one) for one in found.outcomes(keep, np.arange(n))]
    rng = np.random.default_rng(0)
    chosen = []
    for _ in range(SETS):
        outcomes = found.outcomes(keep, rng.integers(n, size=study.draw))
        sure = guarantees.sequence(map(keep.p_value, reversed(outcomes)), keep.error)
        if sure:
            chosen.append(levels - sure)
    broken = sum(truth[level] < keep.least for level in chosen)
    return _row("promises", study, keep, "one level", len(chosen), broken)


def _row(
    kind: str, study: Study, keep: cf.Keep, way: str, made: int, broken: int
) -> dict[str, Any]:
    hits = (np.arange(SETS) < broken).astype(np.float64)
    low, high = cf.mean_interval(hits)
    return {
        "about": kind,
        "images": study.data,
        "codec": study.codec,
        "head": study.head,
        "promised": str(keep),
        "levels": way,
        "calibrated on": study.draw,
        "sets": SETS,
        "promises": made,
        "broken": broken,
        "broken %": round(100 * broken / SETS, 2),
        "95 %": [round(100 * low, 2), round(100 * high, 2)],
        "bytes": None,
        "saved %": None,
    }


# -- a level for each image ------------------------------------------------------------------


def per_image(study: Study, found: Records, others: dict[str, Any]) -> list[dict[str, Any]]:
    """Bytes of each way to choose levels, at each promise."""
    count = len(cf.get_head(study.head).labels)
    light = light_head(others["known"], others["class"], others["confidence"], count)
    ways = {
        "bytes": found.bytes[:, 0],
        "light head": light(found.known),
        "whole head": -found.confidence,
    }
    rows = []
    for text in study.keeps:
        keep = cf.Keep(text)
        one = _mixed(study, found, keep)
        rows.append(_levels_row(study, keep, "one level", one, one))
        for name, difficulty in ways.items():
            mine = _tabled(study, found, keep, difficulty)
            rows.append(_levels_row(study, keep, name, mine, one))
    return rows


def _split(found: Records) -> tuple[Places, Places]:
    """(images that say what could be tried, those that calibration sets are drawn from)."""
    index = np.arange(len(found.bytes))
    return index[::_FIT], index[index % _FIT > 0]


Outcome = tuple[float, float] | None
"""(bytes, truly kept) after a calibration set; None where nothing is promised."""


def _tabled(study: Study, found: Records, keep: cf.Keep, difficulty: Floats) -> list[Outcome]:
    fit, others = _split(found)
    tables = cf.LevelTable.candidates(
        difficulty[fit], found.bytes[fit], found.outcomes(keep, fit), keep
    )
    levels = range(found.bytes.shape[1])
    rng = np.random.default_rng(0)
    results: list[Outcome] = []
    for _ in range(SETS):
        at = rng.choice(others, study.draw)
        try:
            table = cf.LevelTable.calibrated(
                difficulty[at], found.bytes[at], found.outcomes(keep, at), levels, keep, tables
            )
        except cf.BudgetError:
            results.append(None)
            continue
        places = np.array(table.levels)[np.searchsorted(table.edges, difficulty)]
        results.append(_truth(found, keep, places, others))
    return results


def _mixed(study: Study, found: Records, keep: cf.Keep) -> list[Outcome]:
    """One level, and between two levels mixtures by chance: as if levels were finer."""
    n, levels = found.bytes.shape
    rng = np.random.default_rng(0)
    chance = np.random.default_rng(1).random(n)
    ways = [
        np.where(chance < share, level - 1, level)
        for level in range(levels - 1, 0, -1)
        for share in np.linspace(0, 1, _MIXTURES)
    ]
    values = found.score if keep.needs_labels else found.agreement
    _, others = _split(found)
    results: list[Outcome] = []
    for _ in range(SETS):
        at = rng.choice(others, study.draw)
        p_values = (keep.p_value(_outcomes(keep, values[at, way[at]])) for way in ways)
        sure = guarantees.sequence(p_values, keep.error)
        results.append(_truth(found, keep, ways[sure - 1], others) if sure else None)
    return results


def _truth(found: Records, keep: cf.Keep, places: Places, images: Places) -> Outcome:
    values = found.score if keep.needs_labels else found.agreement
    chosen = images, places[images]
    return float(found.bytes[chosen].mean()), float(values[chosen].mean())


def _outcomes(keep: cf.Keep, values: Floats) -> cf.Outcomes:
    return cf.Outcomes(None, values) if keep.needs_labels else cf.Outcomes(values)


def _levels_row(
    study: Study, keep: cf.Keep, way: str, mine: list[Outcome], one: list[Outcome]
) -> dict[str, Any]:
    made = [each for each in mine if each is not None]
    broken = sum(kept < keep.least for _, kept in made)
    pairs = [(a[0], b[0]) for a, b in zip(mine, one, strict=True) if a and b]
    ours, theirs = np.array(pairs).mean(axis=0) if pairs else (np.nan, np.nan)
    return {
        **_row("levels", study, keep, way, len(made), broken),
        "bytes": round(float(ours), 1) if pairs else None,
        "saved %": round(100 * (1 - ours / theirs), 1) if pairs and way != "one level" else None,
    }


# -- table and plot --------------------------------------------------------------------------


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """What each way saves, beside the table as SVG and PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    shown = [row for row in rows if row["about"] == "levels" and row["saved %"] is not None]
    ways = list(dict.fromkeys(row["levels"] for row in shown))
    cases = list(dict.fromkeys((row["images"], row["codec"], row["promised"]) for row in shown))
    figure, axes = pyplot.subplots(figsize=(8.6, 0.42 * len(cases) + 1.6), layout="constrained")
    colours = ("#7f7f7f", "#0072b2", "#d55e00")
    places = np.arange(len(cases))[::-1]
    for way, colour in zip(ways, colours, strict=True):
        mine = {
            (row["images"], row["codec"], row["promised"]): row["saved %"]
            for row in shown
            if row["levels"] == way
        }
        saved = [mine.get(case, np.nan) for case in cases]
        axes.plot(saved, places, "o", label=way, color=colour, markersize=5)
    axes.set_yticks(places, [f"{codec}, {keep} ({images})" for images, codec, keep in cases])
    axes.axvline(0, color="#333333", linewidth=0.8)
    axes.axvline(20, color="#bbbbbb", linewidth=0.8, linestyle=":")
    axes.set_xlabel("% fewer bytes than one level for all, at the same promise")
    axes.legend(frameon=False, title="level of an image by", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    for suffix in (".svg", ".png"):
        figure.savefig(path.with_suffix(suffix), dpi=110, metadata=_NO_DATE[suffix])
    pyplot.close(figure)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="with imagenet-sample and photos")
    parser.add_argument("--records", type=Path, required=True, help="folder of what was measured")
    parser.add_argument("--only", help="studies whose codec or images have this in their names")
    parser.add_argument("--output", "-o", type=Path, help="with a plot beside it")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for study in studies(arguments.data):
        if arguments.only and arguments.only not in f"{study.codec} {study.data}":
            continue
        found = records(study, arguments.records)
        rows += promises(study, found)
        rows += per_image(study, found, training(study, arguments.records))
    notes = (
        "Bytes are means over the calibration sets; `saved %` compares them on the same sets. "
        "Promises may be broken in 5 % of the sets; `95 %` is the interval of that share."
    )
    if arguments.output:
        command = "python benchmarks/keep.py --data DATA --records FOLDER -o keep.json"
        write_results(arguments.output, "keep", command, rows, notes)
        plot(rows, arguments.output)
    print(cf.BenchmarkTable(rows, notes))


if __name__ == "__main__":
    main()
