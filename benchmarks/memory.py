"""Peak memory of `codecframe encode` and `codecframe profile` over folders of many small files.

    python benchmarks/memory.py [--output recipes/results] [--files 10000,100000]

Writes `memory.json`: if memory is constant, ten times the files take little more than their names.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import crops
from PIL import Image

from codecframe.evaluation.results import write_results

HEAD = """
import numpy as np

def predict(images):
    return np.stack([image.mean((0, 1)) for image in images]).astype(np.float32)
"""
IN_A_FOLDER = 1000


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("recipes/results"))
    parser.add_argument("--files", default="10000,100000")
    given = parser.parse_args()
    counts = [int(count) for count in given.files.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "meanhead.py").write_text(HEAD)
        for count in counts:
            images = folder / str(count)
            write_images(images, count)
            head = ["--head", "meanhead:predict", "-c", "jpeg", "--levels", "50"]
            for command in (
                ["encode", str(images), "-c", "jpeg", "-o", f"{folder / 'out'}/"],
                ["profile", str(images), *head, "-o", str(folder / f"{count}.profile")],
            ):
                rows.append({"command": command[0], "files": count, **measured(command, folder)})
                print(rows[-1], flush=True)
    made = "python benchmarks/memory.py"
    notes = "32x32 JPEG files in folders of 1,000; JPEG at one quality; a head of mean colours."
    write_results(given.output / "memory.json", "memory", made, rows, notes)


def write_images(folder: Path, count: int) -> None:
    """Write so many small files."""
    datas = []
    for image in crops(IN_A_FOLDER, 32, of=512, seed=5):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=90)
        datas.append(file.getvalue())
    for first in range(0, count, IN_A_FOLDER):
        part = folder / f"{first // IN_A_FOLDER:04}"
        part.mkdir(parents=True)
        for number, data in enumerate(datas[: count - first]):
            (part / f"{number:04}.jpg").write_bytes(data)


def measured(words: list[str], folder: Path) -> dict[str, Any]:
    """Seconds and peak memory of a codecframe command, in MB of resident memory."""
    program = str(Path(sys.executable).with_name("codecframe"))
    start = time.perf_counter()
    paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [program, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": paths},
    )
    peak = 0
    while process.poll() is None:
        peak = _high_water(process.pid) or peak
        time.sleep(0.02)
    assert process.returncode == 0, words
    return {"peak_mb": round(peak / 1024, 1), "seconds": round(time.perf_counter() - start, 1)}


def _high_water(pid: int) -> int:
    """Most resident memory of a process so far, in KiB; 0 where it has ended."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s*(\d+)", status)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main()
