"""20,000 images transcoded by a Ray cluster that loses a worker, and by this machine alone.

    python benchmarks/cluster.py [--images 20000] [--output recipes/results]

The cluster has two workers, on this machine. One is killed when a third of the images are there.
Writes `cluster.json`: the outcome must be the same, byte by byte. Needs Linux.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from common import crops
from PIL import Image as PilImage

from codecframe.evaluation.results import write_results
from codecframe.pipeline.engine import Engine, Local, Ray
from codecframe.pipeline.transcode import Work, transcode

WORKERS = 2
WORK = Work("webp", {"method": 6}, budget="0.8bpp")
SIDE = 32


def write_images(folder: Path, count: int) -> None:
    """Small pictures."""
    folder.mkdir()
    for number, image in enumerate(crops(count, SIDE, of=1024, seed=3)):
        PilImage.fromarray(image).save(folder / f"{number:05}.png")


def transcoded(images: Path, target: Path, engine: Engine) -> float:
    """Seconds that it took."""
    begun = time.perf_counter()
    transcode([images], target, WORK, engine=engine)
    return time.perf_counter() - begun


def kill_one(target: Path, after: int, killed: list[int]) -> None:
    """Kill a worker that is at a task, once so many images are there."""
    while not target.exists() or len(os.listdir(target)) < after:
        time.sleep(0.05)
    while not (busy := [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc")))
                        if _is_busy(pid)]):  # fmt: skip
        time.sleep(0.01)
    os.kill(busy[0], signal.SIGKILL)
    killed.append(busy[0])


def _is_busy(pid: int) -> bool:
    """Whether a process is a worker of Ray at a task."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::_on_one_core")
    except OSError:
        return False


def digest(folder: Path) -> tuple[int, str]:
    """How many files there are, and the SHA-256 of their names and bytes."""
    found = hashlib.sha256()
    files = sorted(path for path in folder.rglob("[!.]*") if path.is_file())
    for path in files:
        content = hashlib.sha256(path.read_bytes()).digest()
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + content)
    return len(files), found.hexdigest()


def main() -> None:
    """Transcode twice and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--output", type=Path, default=Path("recipes/results"))
    given = parser.parse_args()
    killed: list[int] = []
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images", given.images)
        there = folder / "ray"
        killer = threading.Thread(
            target=kill_one, args=(there, given.images // 3, killed), daemon=True
        )
        killer.start()
        for engine, target in ((Ray(workers=WORKERS), there), (Local(), folder / "local")):
            seconds = transcoded(folder / "images", target, engine)
            files, sha256 = digest(target)
            rows.append(
                {
                    "engine": target.name,
                    "files": files,
                    "seconds": round(seconds, 1),
                    "workers_killed": len(killed) if target is there else 0,
                    "sha256": sha256,
                }
            )
            print(rows[-1], flush=True)
    assert killed, "no worker was killed"
    assert rows[0]["sha256"] == rows[1]["sha256"], "the outcomes differ"
    notes = (
        f"{given.images:,} PNG images of {SIDE}x{SIDE} to WebP at 0.8 bpp, each within the budget; "
        f"Ray with {WORKERS} workers on the same machine, its start and the killed worker's part "
        "among its seconds."
    )
    given.output.mkdir(parents=True, exist_ok=True)
    command = "python benchmarks/cluster.py"
    write_results(given.output / "cluster.json", "cluster", command, rows, notes)


if __name__ == "__main__":
    main()
