"""The benchmark `encoders`: what a camera spends on an image, against encoders of other kinds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe import ProgressMaker, limit_threads
from codecframe_vae.bench.baselines import INSTALL, factorized, resnet18
from codecframe_vae.bench.count import count
from codecframe_vae.bench.energy import PackageCounters
from codecframe_vae.codec import VaeCodec
from codecframe_vae.models import CIFAR10
from codecframe_vae.runtime.model import Model, open_session
from codecframe_vae.settings import LEVELS

U8 = npt.NDArray[np.uint8]

BATCHES = (1, 64)
QUALITY = 50
"""Of JPEG."""


@dataclass(frozen=True, kw_only=True)
class EncoderSettings(codecframe.Settings):
    """What can be chosen."""

    repeat: int = codecframe.option(9, low=1, help="times each encoder is timed, in turns")
    least: float = codecframe.option(
        0.1, low=0.0, high=60.0, help="seconds that one timing takes at least"
    )
    model: str = codecframe.option("", help="model file; none: the one of the codec vae")
    level: int = codecframe.option(
        10, low=0, high=LEVELS - 1, help="rate level of the learned codec"
    )
    size: int = codecframe.option(32, low=16, high=1024, help="side of the images in pixels")


@dataclass
class _Contestant:
    """An encoder that is timed.

    Attributes:
        name: for the table.
        makes: what comes out.
        cost: (parameters, multiply-adds), where it has a network.
        run: encodes a batch, (n, height, width, 3).
        seconds, joules: for an image, by batch size, of each timing; joules where they are counted.
    """

    name: str
    makes: str
    cost: tuple[int | None, int | None]
    run: Callable[[U8], Any]
    seconds: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in BATCHES})
    joules: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in BATCHES})


class EncoderBenchmark(codecframe.Benchmark[EncoderSettings]):
    """Size, speed and, where the processor counts it, energy of encoders, in one thread."""

    name = "encoders"
    summary = "the learned codec's encoder against others: size and speed"
    settings_type = EncoderSettings
    requires = {"onnx": INSTALL, "onnxruntime": INSTALL, "safetensors": INSTALL}  # noqa: RUF012

    def run(self, settings: EncoderSettings, progress: ProgressMaker) -> codecframe.BenchmarkTable:
        """Time all encoders in turns.

        Raises:
            DataError: if the model file cannot be read.
        """
        counters = PackageCounters.found()
        images = synthetic_images(max(BATCHES), settings.size)
        with limit_threads(1):
            contestants = _contestants(settings)
            _measure(contestants, images, settings, counters, progress)
        rows = [_row(one, contestants[0]) for one in contestants]
        return codecframe.BenchmarkTable(rows, _notes(settings, counters))


def synthetic_images(count: int, side: int) -> U8:
    """Images, (count, side, side, 3): smooth colours with some noise, always the same."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (count, side // 8 + 2, side // 8 + 2, 3))
    at, share = np.divmod(np.arange(side) / 8, 1)
    low, share = at.astype(int), share[:, None]
    rows = coarse[:, low] * (1 - share[:, None]) + coarse[:, low + 1] * share[:, None]
    smooth = rows[:, :, low] * (1 - share) + rows[:, :, low + 1] * share
    noisy = smooth + rng.normal(0, 6, smooth.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def _contestants(settings: EncoderSettings) -> list[_Contestant]:
    """The learned codec first: the others are compared with it."""
    jpeg = codecframe.get_codec("jpeg")
    at_quality = jpeg.settings_type(quality=QUALITY)
    model = Model(Path(settings.model)) if settings.model else CIFAR10
    front = resnet18(2)
    baselines = {
        "ResNet-18 up to layer 2": ("features", front),
        "ResNet-18": ("logits", resnet18()),
        "bmshj2018-factorized, network alone": ("latents", factorized()),
    }
    from codecframe_vae.training.int8 import int8_graph  # needs what `front` asked for

    in_int8 = int8_graph(front, synthetic_images(max(BATCHES), settings.size), whole=True)
    name = "ResNet-18 up to layer 2, 8-bit integers"
    return [
        *_learned(model, settings, small=False),
        *(_learned(model, settings, small=True) if model.has_small else ()),
        *(
            _Contestant(name, makes, count(graph, settings.size), _runner(graph, name))
            for name, (makes, graph) in baselines.items()
        ),
        _Contestant(name, "features", count(front, settings.size), _runner(in_int8, name)),
        _Contestant(
            f"JPEG, quality {QUALITY}",
            "bytes",
            (None, None),
            lambda batch: jpeg.encode_many(batch, at_quality),
        ),
    ]


def _learned(model: Model, settings: EncoderSettings, *, small: bool) -> list[_Contestant]:
    """A learned codec, and its network alone in all arithmetics that it has."""
    codec = VaeCodec(model)
    at_level = codec.settings_type(small=small).at_level(settings.level)
    fast, exact = (model.encoder(int8=int8, small=small) for int8 in (True, False))
    cost = count(model.graph(exact), settings.size)
    name = "learned codec, small encoder" if small else "learned codec"
    networks = {f"{name}, network alone": fast, f"{name}, network alone, float32": exact}
    if fast == exact:
        networks = {f"{name}, network alone": exact}
    whole = name if small else f"learned codec {model.manifest.name!r}"
    return [
        _Contestant(whole, "bytes", cost, lambda batch: codec.encode_many(batch, at_level)),
        *(
            _Contestant(one, "latents", cost, _runner(model.graph(network), one))
            for one, network in networks.items()
        ),
    ]


def _runner(graph: bytes, name: str) -> Callable[[U8], Any]:
    session = open_session(graph, name)
    return lambda batch: session.run(None, {"images": batch})


def _measure(
    contestants: Sequence[_Contestant],
    images: U8,
    settings: EncoderSettings,
    counters: PackageCounters | None,
    progress: ProgressMaker,
) -> None:
    """Time every encoder at every batch size, in turns, so that all see the same machine."""
    jobs = [(one, size) for one in contestants for size in BATCHES]
    with progress((1 + settings.repeat) * len(jobs)) as display:
        calls = []
        for one, size in jobs:  # the first call of each warms up
            one.run(images[:size])
            once, _ = _timed(one, images[:size], 1, counters)
            calls.append(max(1, round(settings.least / max(once, 1e-6))))
            display.advance(1, "warming up")
        for _ in range(settings.repeat):
            for (one, size), count_ in zip(jobs, calls, strict=True):
                seconds, joules = _timed(one, images[:size], count_, counters)
                one.seconds[size].append(seconds / count_ / size)
                if joules is not None:
                    one.joules[size].append(joules / count_ / size)
                display.advance(1, one.name)


def _timed(
    one: _Contestant, batch: U8, calls: int, counters: PackageCounters | None
) -> tuple[float, float | None]:
    """(seconds, joules if they are counted) of so many calls."""
    before = counters.read() if counters else []
    start = time.process_time()
    for _ in range(calls):
        one.run(batch)
    seconds = time.process_time() - start
    return seconds, counters.joules(before, counters.read()) if counters else None


def _row(one: _Contestant, ours: _Contestant) -> dict[str, Any]:
    seconds = {n: statistics.median(one.seconds[n]) for n in BATCHES}
    row: dict[str, Any] = {"encoder": one.name, "makes": one.makes}
    row["parameters"], row["multiply_adds"] = one.cost
    for n in BATCHES:
        row[f"images_per_s_{n}"] = _digits(1 / seconds[n])
    for n in BATCHES:
        row[f"time_ratio_{n}"] = _digits(seconds[n] / statistics.median(ours.seconds[n]))
    for n in BATCHES:
        if one.joules[n]:
            row[f"millijoules_{n}"] = _digits(1000 * statistics.median(one.joules[n]))
    return row


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def _notes(settings: EncoderSettings, counters: PackageCounters | None) -> str:
    energy = (
        "Energy, for one image, is that of the processor's package counters. "
        if counters
        else "This machine has no energy counters that can be read. "
    )
    return (
        f"{settings.size}x{settings.size} RGB images (synthetic), batches of 1 and 64, one thread, "
        f"networks by onnxruntime; medians of {settings.repeat} timings in turns. "
        "Time is processor time, so that other work on the machine does not count; time_ratio is "
        f"relative to that of the first row. {energy}"
        "Multiply-adds are those of convolutions and matrix products, for one image; baselines "
        "have random weights, on which neither depends. Only the learned codec and JPEG also code "
        "to bytes: the others' features or latents would still have to be coded."
    )
