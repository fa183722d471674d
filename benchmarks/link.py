"""A camera and a server in two network namespaces, with a real link between them.

    sudo python benchmarks/link.py [--seconds 45] [--data-root DIR] [--output recipes/results]

`codecframe send` and `codecframe serve` as they are installed, over TCP, a kernel's token bucket
as the link. Images are sent live, as a camera would, with a learned codec to its own head and with
JPEG to a classifier: CIFAR-10's test images, with the classifier that was retrained on what JPEG
leaves, and, where the link is wide, photographs, with EfficientNet-Lite0. Needs Linux, root, and
the programs ip, tc and iptables. Writes `link.json`, `link.svg` and `link.png`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

import codecframe
from codecframe.core.statistics import wilson
from codecframe.evaluation.results import write_results
from codecframe.images import open_images

matplotlib.use("agg")
from matplotlib import pyplot

PROGRAM = Path(sys.executable).with_name("codecframe")
CAMERA, SERVER = "codecframe-camera", "codecframe-server"
HOST, PORT = "10.213.7.2", 8000
DELAY_MS = 250
"""Longest queue of the link, in milliseconds."""
WARM_UP = 10.0
"""Seconds at the beginning, and after the link changed, that are not the steady state."""
LATE = 1.0
"""Seconds after which an answer is late."""


@dataclass(frozen=True)
class Data:
    """Images to send, each with its class, and the codecs that they are sent with.

    Attributes:
        name: of the table.
        source: as `codecframe send` takes it, below the data root.
        heads: a head for each codec.
        labels: file of the classes below the data root, where images do not know theirs.
        where: rows of that file; others are sent, too, and no head was made with these.
    """

    name: str
    source: str
    heads: Mapping[str, str]
    labels: str | None = None
    where: Mapping[str, str] | None = None

    def truth(self, root: Path) -> dict[str, int | None]:
        """All images in order, and the classes of those that count."""
        labels = None if self.labels is None else str(root / self.labels)
        options = {"labels": labels, "where": self.where, "data_root": str(root)}
        known = {item.name: int(item.target) for item in open_images(self.at(root), **options)}
        everything = open_images(self.at(root), data_root=str(root))
        return {item.name: known.get(item.name) for item in everything}

    def at(self, root: Path) -> str:
        """The source with its folder."""
        return self.source if ":" in self.source else str(root / self.source)


SMALL = Data(
    "CIFAR-10, test images", "cifar10:test", {"vae": "cifar10-vae", "jpeg": "cifar10-jpeg"}
)
PHOTOS = Data(
    "ImageNet sample",
    "imagenet-sample",
    {"efficientnet-vae": "efficientnet-vae", "jpeg": "efficientnet-lite0"},
    "imagenet-sample/labels.csv",
    {"split": "eval"},
)


@dataclass(frozen=True)
class Scenario:
    """A link: bits a second, frames a second, share of packets that are lost, and whether it falls
    to a tenth in the middle third of the time."""

    name: str
    rate: int
    fps: int
    loss: float = 0.0
    drop: bool = False
    data: Data = SMALL

    def rate_at(self, share: float) -> int:
        """Bits a second after that share of the time."""
        return self.rate // 10 if self.drop and 1 / 3 <= share < 2 / 3 else self.rate


SCENARIOS = (
    Scenario("64 kbit/s", 64_000, 30),
    Scenario("256 kbit/s", 256_000, 100),
    Scenario("2 Mbit/s", 2_000_000, 12, data=PHOTOS),
    Scenario("256 kbit/s, falls tenfold", 256_000, 30, drop=True),
    Scenario("256 kbit/s, 2 % loss", 256_000, 100, loss=0.02),
    Scenario("2 Mbit/s, 2 % loss", 2_000_000, 12, loss=0.02, data=PHOTOS),
)


def sh(*words: object, within: str | None = None) -> str:
    """Run a program to its end."""
    prefix = ["ip", "netns", "exec", within] if within else []
    done = subprocess.run([*prefix, *map(str, words)], check=True, capture_output=True, text=True)
    return done.stdout


@contextmanager
def namespaces() -> Iterator[None]:
    """Two namespaces joined by a cable."""
    try:
        for name in (CAMERA, SERVER):
            sh("ip", "netns", "add", name)
        sh("ip", "link", "add", "camera0", "netns", CAMERA, "type", "veth",
           "peer", "name", "server0", "netns", SERVER)  # fmt: skip
        for name, device, address in ((CAMERA, "camera0", "10.213.7.1"), (SERVER, "server0", HOST)):
            sh("ip", "addr", "add", f"{address}/24", "dev", device, within=name)
            sh("ip", "link", "set", device, "up", within=name)
            sh("ip", "link", "set", "lo", "up", within=name)
        yield
    finally:
        for name in (CAMERA, SERVER):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def shape(rate: int, verb: str = "replace") -> None:
    """Let the camera's end of the cable carry `rate` bits a second."""
    burst = max(1600, rate // 8 // 100)
    sh("tc", "qdisc", verb, "dev", "camera0", "root", "tbf", "rate", f"{rate}bit",
       "burst", burst, "latency", f"{DELAY_MS}ms", within=CAMERA)  # fmt: skip


def lose(share: float) -> None:
    """Lose a share of the packets that come to the server."""
    sh("iptables", "-F", "INPUT", within=SERVER)
    if share:
        sh("iptables", "-A", "INPUT", "-m", "statistic", "--mode", "random",
           "--probability", share, "-j", "DROP", within=SERVER)  # fmt: skip


def carried() -> int:
    """Bytes that the link has carried, headers of Ethernet, IP and TCP among them."""
    found = json.loads(sh("tc", "-s", "-j", "qdisc", "show", "dev", "camera0", within=CAMERA))
    return int(found[0]["bytes"])


@contextmanager
def running(within: str, *words: object, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A codecframe command in a namespace; its output goes to a file."""
    command = ["ip", "netns", "exec", within, PROGRAM, *map(str, words)]
    with open(log, "wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def measure(scenario: Scenario, codec: str, seconds: float, root: Path, folder: Path) -> Any:
    """Send for so many seconds; what came of it, and the rate over time."""
    shape(scenario.rate)
    lose(scenario.loss)
    data = scenario.data
    serve = ["serve", "--head", data.heads[codec], "--codec", codec, "--host", HOST,
             "--port", PORT, "--no-token", "--max-fps", 10_000]  # fmt: skip
    send = ["send", data.at(root), f"http://{HOST}:{PORT}", "--codec", codec, "--live", "--json",
            "--budget", f"{scenario.rate}bit/s@{scenario.fps}fps", "--data-root", root]  # fmt: skip
    with running(SERVER, *serve, log=folder / "serve"):
        while b"serving" not in (folder / "serve").read_bytes():
            time.sleep(0.1)
        time.sleep(3)
        with running(CAMERA, *send, log=folder / "send") as camera:
            samples = _watch(scenario, seconds, camera)
        outcomes = [
            json.loads(line)
            for line in (folder / "send").read_text().splitlines()
            if line.startswith("{")
        ]
    return outcomes, samples


def _watch(
    scenario: Scenario, seconds: float, camera: subprocess.Popen[bytes]
) -> list[tuple[float, int, int]]:
    """(time, bits a second of the link, bytes carried so far), from the first byte on."""
    before = carried()
    while carried() < before + 2000:
        assert camera.poll() is None, "the camera has ended"
        time.sleep(0.05)
    begun, rate = time.monotonic(), scenario.rate
    samples = [(0.0, rate, carried())]
    while (now := time.monotonic() - begun) < seconds:
        time.sleep(0.5)
        if (wanted := scenario.rate_at(now / seconds)) != rate:
            rate = wanted
            shape(rate, "change")
        samples.append((time.monotonic() - begun, rate, carried()))
    return samples


def used(samples: list[tuple[float, int, int]]) -> float:
    """Share of the link that was used in steady state."""
    bits = room = 0.0
    changed = 0.0
    for (start, rate, first), (end, after, last) in pairwise(samples):
        if after != rate:
            changed = end
        elif start - changed >= WARM_UP:
            bits += 8 * (last - first)
            room += rate * (end - start)
    return bits / room if room else float("nan")


def at_highest_level(outcomes: list[Any]) -> float:
    """Share of the frames that were sent at the highest level of the knob: they leave a link idle
    because there is nothing more to send.
    """
    knob = codecframe.get_codec(outcomes[0]["codec"]).settings_type.knob()
    assert knob is not None
    return float(np.mean([outcome["level"] + 1 == knob.levels for outcome in outcomes]))


def row(
    scenario: Scenario,
    codec: str,
    outcomes: list[Any],
    samples: Any,
    truth: Mapping[str, int | None],
) -> Any:
    """A row of the table."""
    order = {name: number for number, name in enumerate(truth, 1)}
    statuses = Counter(outcome["status"] for outcome in outcomes)
    good = [outcome for outcome in outcomes if outcome["status"] == "ok"]
    times = [outcome["seconds"] for outcome in good]
    seen = [(truth[o["name"]], o["top"][0]["index"]) for o in good]
    right = [known == found for known, found in seen if known is not None]
    taken = max(order[outcome["name"]] for outcome in outcomes)
    low, high = wilson(float(np.mean(right)), len(right))
    return {
        "codec": codec,
        "settings": {},
        "head": scenario.data.heads[codec],
        "data": scenario.data.name,
        "link": scenario.name,
        "fps": scenario.fps,
        "seconds": round(samples[-1][0], 1),
        "n": len(good),
        "taken": taken,
        "dropped": statuses["dropped"],
        "failed": statuses["failed"],
        "unreported": taken - len({outcome["name"] for outcome in outcomes}),
        "late": sum(t > LATE for t in times),
        "used": round(used(samples), 4),
        "at_highest_level": round(at_highest_level(good), 4),
        "bytes": round(float(np.mean([outcome["bytes"] for outcome in good])), 1),
        "p50_ms": round(1000 * float(np.median(times)), 1),
        "p99_ms": round(1000 * float(np.percentile(times, 99)), 1),
        "top1": round(float(np.mean(right)), 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def plot(series: dict[str, dict[str, Any]], rows: list[Any], target: Path) -> None:
    """Rate over time, a panel a link."""
    figure, axes = pyplot.subplots(len(series), 1, figsize=(8, 2.3 * len(series)))
    for axis, (name, found) in zip(np.atleast_1d(axes), series.items(), strict=True):
        for codec, samples in found.items():
            (this,) = [r for r in rows if (r["link"], r["codec"]) == (name, codec)]
            times = [end for _, (end, _, _) in pairwise(samples)]
            rates = [8e-3 * (b[2] - a[2]) / (b[0] - a[0]) for a, b in pairwise(samples)]
            label = f"{codec}: {100 * this['top1']:.1f} % of {this['n']:,} right"
            axis.plot(times, rates, label=label, linewidth=1.2)
        axis.step([s[0] for s in samples], [s[1] / 1000 for s in samples], "k--", linewidth=0.8)
        axis.set_ylim(bottom=0)
        axis.set_title(name, fontsize=10, loc="left")
        axis.set_ylabel("kbit/s")
        axis.legend(fontsize=8)
    axis.set_xlabel("seconds (dashed: what the link carries)")
    figure.tight_layout()
    for suffix in ("svg", "png"):
        figure.savefig(target / f"link.{suffix}", dpi=120)


def main() -> None:
    """Measure all links and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--data-root", type=Path, default=os.environ.get("CODECFRAME_DATA", ""))
    parser.add_argument("--output", type=Path, default=Path("recipes/results"))
    parser.add_argument("--only", type=int, help="one of the links, by number")
    given = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    # what runs the commands may ignore the signal that ends them, and they would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    truths = {data.name: data.truth(given.data_root) for data in (SMALL, PHOTOS)}
    chosen = SCENARIOS if given.only is None else SCENARIOS[given.only : given.only + 1]
    rows: list[Any] = []
    series: dict[str, dict[str, Any]] = {}
    with namespaces(), tempfile.TemporaryDirectory() as folder:
        for scenario in chosen:
            for codec in scenario.data.heads:
                seconds = given.seconds * (2 if scenario.drop else 1)  # there are three links then
                outcomes, samples = measure(scenario, codec, seconds, given.data_root, Path(folder))
                series.setdefault(scenario.name, {})[codec] = samples
                rows.append(row(scenario, codec, outcomes, samples, truths[scenario.data.name]))
                print(json.dumps(rows[-1]), flush=True)
    notes = (
        f"Used: share of what the link carries, headers counted, {WARM_UP:g} s after it began or "
        f"changed. Late: over {LATE:g} s from sending to the answer. Bytes are those of messages. "
        "At highest level: share of frames for which the codec had no more to send."
    )
    given.output.mkdir(parents=True, exist_ok=True)
    write_results(given.output / "link.json", "link", "python benchmarks/link.py", rows, notes)
    plot(series, rows, given.output)


if __name__ == "__main__":
    main()
