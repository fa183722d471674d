"""What a cascade costs and keeps beside the same codec without one, and whether promises hold.

    codecframe profile photos/ --head small.onnx --fallback large.onnx -c jpeg -o p.profile
    python benchmarks/cascade.py p.profile --keep 90% --keep 95% -o cascade.json

Over random splits of the profile's images: half of them choose the level, and from what confidence
on the head on the device answers, as `select` does; the other half says what that costs and keeps.
Without a head on the device, between two levels a share of the images, by chance, has the lower
one, so that coarse levels are no disadvantage.
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
from codecframe.evaluation.profile import DeviceAnswers, ProfileTable, coverage
from codecframe.evaluation.results import write_results
from codecframe.evaluation.select.candidates import View
from codecframe.evaluation.select.keeping import FIT
from codecframe.rate import Accounting, Keep, Outcomes
from codecframe.rate.cascade import attempts, together

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Place = tuple[float, Numbers]
"""From what confidence on the device answers, and the level of each image by its index."""
_MIXTURES = np.linspace(0, 1, 11)


class Study:
    """The images of a profile of one codec, at all levels and on the device.

    Args:
        view: the profile's points.
        answers: of the head on the device.
    """

    def __init__(self, view: View, answers: DeviceAnswers) -> None:
        self._answers = answers.of(view.images)
        numbers = sorted(view.points, key=lambda n: view.table.level_range([n])[0])
        sizes = [view.per_image(number, Accounting.PAYLOAD).size for number in numbers]
        self._sizes = np.stack(sizes, axis=1)
        self._outcomes = [view.outcomes(number) for number in numbers]
        known = [one.agreement for one in self._outcomes if one.agreement is not None]
        self._agreement = np.stack(known, axis=1)
        self.count = len(view.images)
        chance = np.random.default_rng(1).random(self.count)
        self._mixed = [
            (np.inf, np.where(chance < share, level - 1, level))
            for level in range(len(numbers) - 1, 0, -1)
            for share in _MIXTURES
        ]

    def plain(self, images: Numbers, keep: Keep) -> Place | None:
        """The lowest levels that surely keep it, by these images; None where none do."""
        return self._last(self._mixed, images, keep)

    def cascade(self, images: Numbers, keep: Keep) -> Place | None:
        """The last of the ways that surely keep it; one image of some says which are tried."""
        fit, decide = images[::FIT], np.delete(images, np.s_[::FIT])
        known, outcomes = self._answers, [one[fit] for one in self._outcomes]
        ways = attempts(
            known.confidence[fit], known.size[fit], self._sizes[fit], known.outcomes[fit], outcomes,
            keep,
        )  # fmt: skip
        places = [(sure, np.full(self.count, level)) for sure, level in ways]
        return self._last(places, decide, keep)

    def seen(self, place: Place, images: Numbers) -> tuple[float, float, Outcomes]:
        """Bytes an image, the share that travels, and outcomes."""
        sure, level = place[0], place[1][images]
        here = self._answers.confidence[images] >= sure
        size = np.where(here, self._answers.size[images], self._sizes[images, level])
        seen = Outcomes(self._agreement[images, level])
        known = together(here, self._answers.outcomes[images], seen)
        return float(size.mean()), float((~here).mean()), known

    def _last(self, ways: Sequence[Place], images: Numbers, keep: Keep) -> Place | None:
        p_values = (keep.p_value(self.seen(place, images)[2]) for place in ways)
        sure = guarantees.sequence(p_values, keep.error)
        return ways[sure - 1] if sure else None


def rows_of(study: Study, codec: str, head: str, keep: Keep, splits: int) -> list[dict[str, Any]]:
    """A row without the head on the device, and one with it."""
    rng = np.random.default_rng(0)
    found: dict[str, list[tuple[float, float, float]]] = {"": [], head: []}
    for _ in range(splits):
        order = rng.permutation(study.count)
        choose, check = np.sort(order[: study.count // 2]), np.sort(order[study.count // 2 :])
        for name, place in (
            ("", study.plain(choose, keep)), (head, study.cascade(choose, keep))
        ):  # fmt: skip
            if place is not None:
                size, travels, outcomes = study.seen(place, check)
                found[name].append((size, travels, keep.kept(outcomes)))
    rows = []
    for name, every in found.items():
        values: Floats = np.array(every or [(np.nan,) * 3])
        bytes_, travels, kept = values.mean(axis=0).tolist()
        rows.append(
            {
                "promised": str(keep),
                "on the device": name or "nothing",
                "codec": codec,
                "bytes": round(bytes_),
                "travels %": round(100 * travels, 1),
                "kept %": round(100 * kept, 1),
                "promises": len(every),
                "broken": int((values[:, 2] < keep.least).sum()),
            }
        )
    return rows


def main() -> None:
    """Count, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", type=Path)
    parser.add_argument("--keep", action="append", required=True)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--output", "-o", required=True, type=Path)
    given = parser.parse_args()
    with ProfileTable.open(given.profile) as table:
        covered = coverage([table])
        (head,) = table.device.heads
        (codec,) = {point.codec for point in table.points().values()}
        study = Study(View(table, covered.kept[0], covered.images), table.device.answers(head))
        rows = [
            row
            for text in given.keep
            for row in rows_of(study, codec, head, Keep(text), given.splits)
        ]
        notes = (
            f"{study.count} images, {table.head} behind the link; over {given.splits} random "
            "splits, half of the images choose, and the other half says what that costs and keeps. "
            "5 % of the promises may be broken; that other halves are few breaks some more."
        )
    asked = " ".join(f"--keep {text}" for text in given.keep)
    write_results(
        given.output, "cascade", f"python benchmarks/cascade.py FILE {asked}", rows, notes
    )
    print(cf.BenchmarkTable(rows, notes))


if __name__ == "__main__":
    main()
