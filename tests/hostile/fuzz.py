"""Tries many damaged files of each kind, and keeps those that did harm: `make fuzz`.

    python tests/hostile/fuzz.py codecs images --count 10000 --seed 7

A file that did harm is kept in `--keep`. Put it into `tests/hostile/findings` when it is mended:
a test uses each file there as its kind is used.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

import targets  # noqa: E402  lies beside this file
from watch import Totals, watch  # noqa: E402

_NUMBERS = 10_000_000
"""Numbers of one seed, for each kind."""


def fuzz(kind: str, asked: argparse.Namespace) -> int:
    """Try one kind; returns how many files did harm."""
    target = targets.TARGETS[kind]
    totals, started, found = Totals(), time.monotonic(), 0
    with tempfile.TemporaryDirectory() as scratch:
        (work := Path(scratch) / "work").mkdir()
        originals = target.make(Path(scratch))
        first = asked.seed * _NUMBERS + asked.start
        for finding in watch(
            originals, target.mutate, target.use, range(first, first + asked.count), work,
            seconds=asked.seconds, processor_seconds=asked.processor_seconds,
            most_bytes=asked.megabytes << 20, totals=totals,
        ):  # fmt: skip
            found += 1
            asked.keep.mkdir(parents=True, exist_ok=True)
            kept = asked.keep / f"{kind}-{finding.number}-{finding.file.name}"
            shutil.copy(finding.file, kept)
            print(f"{kept.name}: {finding.what}", flush=True)
    print(
        f"{kind}: {found} findings in {totals.inputs} inputs of seed {asked.seed} "
        f"({totals.refused} refused), {time.monotonic() - started:.0f} s, "
        f"peak {totals.peak >> 20} MiB, slowest {totals.slowest:.2f} s",
        flush=True,
    )
    return found


def main() -> int:
    """Try what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", help=f"some of {', '.join(targets.TARGETS)}")
    parser.add_argument("--count", type=int, default=1000, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="the first input of the seed")
    parser.add_argument("--seconds", type=float, default=60.0, help="by the clock, at most")
    parser.add_argument("--processor-seconds", type=float, default=2.0, help="of each input")
    parser.add_argument("--megabytes", type=int, default=700, help="of each process, beside start")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    asked = parser.parse_args()
    unknown = set(asked.kinds) - set(targets.TARGETS)
    if unknown:
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    return 1 if sum(fuzz(kind, asked) for kind in asked.kinds or targets.TARGETS) else 0


if __name__ == "__main__":
    sys.exit(main())
