"""The benchmark `device`: what each codec's encoder costs on the machine that it runs on.

It needs nothing but the base installation (and onnxruntime, for learned codecs), takes less than
two minutes on a small board, and its file tells `select` elsewhere what that board can do.
Each codec is measured in a process of its own, so that one that crashes or hangs is only named, and
memory is its own.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codecframe.core import registry
from codecframe.core.benchmark import Benchmark, BenchmarkTable
from codecframe.core.image import Image
from codecframe.core.parallel import limit_threads, peak_memory
from codecframe.core.presets import parse_spec
from codecframe.core.progress import ProgressMaker
from codecframe.core.settings import Settings, option

_LEVELS = (0.15, 0.5, 0.85)
"""Where on the knob encoders are timed: 0 is its lowest level, 1 its highest."""
_CHILD = "from codecframe.evaluation.device import measure_here; measure_here()"


@dataclass(frozen=True, kw_only=True)
class DeviceSettings(Settings):
    """What can be chosen."""

    codecs: str = option(
        "", help="codecs with optional settings, between spaces; none: all that have a knob"
    )
    small: int = option(128, low=16, high=4096, help="side of the smaller image in pixels")
    large: int = option(512, low=16, high=4096, help="side of the larger image in pixels")
    seconds: float = option(6.0, low=0.1, high=600.0, help="seconds for a codec, about")
    patience: float = option(60.0, low=1.0, high=3600.0, help="after which one is given up")


class DeviceBenchmark(Benchmark[DeviceSettings]):
    """Encode times in one thread and memory of all codecs on this machine."""

    name = "device"
    summary = "what each encoder costs on this machine, for `select --device`"
    settings_type = DeviceSettings

    def run(self, settings: DeviceSettings, progress: ProgressMaker) -> BenchmarkTable:
        """Measure."""
        installed = registry.available(registry.default().codecs.values())
        every = [codec.name for codec in installed if codec.settings_type.knob()]
        specs = settings.codecs.split() or every
        rows: list[Mapping[str, Any]] = []
        with progress(len(specs)) as display:
            for spec in specs:
                display.advance(0, spec)
                rows += _measured(spec, settings)
                display.advance(1, "")
        where = f"{platform.machine()} {platform.processor()}, {platform.system()}".strip()
        notes = (
            f"Medians in one thread on {where}; synthetic images. `memory_mb` is the most that a "
            "process that encodes has taken, Python and libraries included. `problem`: what keeps "
            "a codec from being used."
        )
        return BenchmarkTable(rows, notes)


def _measured(spec: str, settings: DeviceSettings) -> list[dict[str, Any]]:
    """The rows of one codec; where it cannot be used, one that says why."""
    task = json.dumps({"spec": spec, **settings.to_dict()})
    problem = ""
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-c", _CHILD], input=task, capture_output=True, text=True,
            timeout=settings.patience, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        problem = f"took longer than {settings.patience:g} s"
    else:
        if done.returncode == 0:
            rows: list[dict[str, Any]] = json.loads(done.stdout)
            return rows
        problem = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    return [row_of(spec, problem=problem)]


def row_of(
    codec: str, settings: Mapping[str, Any] | None = None, problem: str = "", **values: Any
) -> dict[str, Any]:
    """A row of the table; `settings` are those that differ from the codec's defaults, as JSON."""
    row: dict[str, Any] = {"codec": codec, "settings": json.dumps(settings or {}, sort_keys=True)}
    known = dict.fromkeys(("knob_level", "side", "encode_ms", "memory_mb"))
    return row | known | values | {"problem": problem[:200]}


def measure_here() -> None:
    """Measure one codec in this process: the task is read from stdin, its rows go to stdout."""
    task = json.load(sys.stdin)
    with limit_threads(1):
        rows = _rows(task)
    json.dump(rows, sys.stdout)


def _rows(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    codec, settings = parse_spec(task["spec"])
    knob = settings.knob()
    changed = {k: v for k, v in settings.changed().items() if not knob or k != knob.field}
    levels = dict.fromkeys(round(at * (settings.knob_levels() - 1)) for at in _LEVELS)
    sides = sorted({task["small"], task["large"]})
    share = task["seconds"] / (len(levels) * len(sides))
    rows = []
    for side in sides:
        image = synthetic_image(side)
        for level in levels:
            chosen = settings.at_level(level)
            data = codec.encode(image, chosen)
            if codec.restore(codec.strip(data), chosen, (side, side)) != data:
                raise RuntimeError(f"{codec.name} does not restore what it strips")
            if codec.decode(data).shape != image.shape:
                raise RuntimeError(f"{codec.name} does not decode what it encodes")
            times: list[float] = []
            until = time.perf_counter() + share
            while len(times) < 3 or (time.perf_counter() < until and len(times) < 200):
                started = time.perf_counter()
                codec.encode(image, chosen)
                times.append(time.perf_counter() - started)
                if sum(times) > share:
                    break
            milliseconds = 1e3 * statistics.median(times)
            rows.append(
                row_of(codec.name, changed, knob_level=level, side=side, encode_ms=milliseconds)
            )
    peak = peak_memory()
    memory = None if peak is None else peak / 1e6
    return [{**row, "memory_mb": memory} for row in rows]


def synthetic_image(side: int) -> Image:
    """An image of smooth colours with some noise, always the same: `uint8`, (side, side, 3)."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (side // 16 + 2, side // 16 + 2, 3))
    at, share = np.divmod(np.arange(side) / 16, 1)
    low, share = at.astype(int), share[:, None, None]
    rows = coarse[low] * (1 - share) + coarse[low + 1] * share
    share = share.reshape(1, side, 1)
    smooth = rows[:, low] * (1 - share) + rows[:, low + 1] * share
    return np.asarray(np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255), np.uint8)
