"""How fast codecframe is beside what one would otherwise use: medians and ratios, in one run.

    python benchmarks/speed.py [--compressai FOLDER] [--output recipes/results]

Both sides of a comparison take turns, so that what else the machine does meets both. The last rows
need CompressAI, without what it asks for: `pip install --no-deps --target FOLDER compressai`.
Writes `speed.json`.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from baselines.compressai_alone import load
from common import crops
from PIL import Image as PilImage

import codecframe
from codecframe.core.image import Image
from codecframe.core.parallel import limit_threads
from codecframe.evaluation.profile import Plan, profile_images
from codecframe.evaluation.results import write_results
from codecframe.images import CifarSet, ImageItem
from codecframe.rate import Accounting, fit
from codecframe.testing import natural_image
from codecframe_torch import TorchHead
from codecframe_vae.bench.baselines import resnet18
from codecframe_vae.entropy.context import REACH, ContextArrays, ContextModel
from codecframe_vae.entropy.grid import fold_sign
from codecframe_vae.entropy.rangecoder import TOTAL
from codecframe_vae.runtime.model import open_session

Work = Callable[[], object]
_SECONDS = 0.2
"""How long a side's turn lasts, at least."""


@dataclass(frozen=True)
class Comparison:
    """Two ways to do the same.

    Attributes:
        what: is done.
        against: the other way.
        must: the ratio to reach.
        ours: our way.
        theirs: the other one.
        faster: whether the ratio says how many times as fast ours is; else its share of the time.
        turns: of each side; what takes minutes has one, without any before it.
        note: what else was seen.
    """

    what: str
    against: str
    must: float
    ours: Work
    theirs: Work
    faster: bool = False
    turns: int = 7
    note: Callable[[], str] = lambda: ""

    def run(self) -> dict[str, Any]:
        """Measure; a row of the table."""
        calls = [1, 1]
        if self.turns > 1:
            self.ours(), self.theirs()
            calls = [_calls(work) for work in (self.ours, self.theirs)]
        times: list[list[float]] = [[], []]
        for _ in range(self.turns):
            for side, work in enumerate((self.ours, self.theirs)):
                times[side].append(_time(work, calls[side]))
        ours, theirs = (statistics.median(side) for side in times)
        ratio = theirs / ours if self.faster else ours / theirs
        return {
            "what": self.what,
            "against": self.against,
            "ours_ms": round(1e3 * ours, 4),
            "theirs_ms": round(1e3 * theirs, 4),
            "ratio": round(ratio, 3),
            "must": f"{'>=' if self.faster else '<='} {self.must:g}",
            "met": ratio >= self.must if self.faster else ratio <= self.must,
            "note": self.note(),
        }


def _calls(work: Work) -> int:
    """Calls that last for a turn."""
    return max(1, round(_SECONDS / max(_time(work, 1), 1e-6)))


def _time(work: Work, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def small_images(count: int) -> tuple[list[Image], str]:
    """Images of 32x32, which the learned codec was made for, and what they are."""
    try:
        images = CifarSet.open("cifar10", "test").images[:count]
    except codecframe.DataError:
        return crops(count, 32, of=1024, seed=3), "cut out of a synthetic one"
    return list(images), "CIFAR-10's test images"


# -- what is compared -------------------------------------------------------------------------


def one_image() -> Iterator[Comparison]:
    """A codec's call and the library's."""
    codec = codecframe.get_codec("jpeg")
    settings = codec.settings_type()
    for name, shape, must in (("32x32", (32, 32), 1.5), ("224x224", (224, 224), 1.05),
                              ("1080p", (1080, 1920), 1.02)):  # fmt: skip
        image = natural_image(*shape, seed=1)
        yield Comparison(
            f"JPEG encode and decode, {name}", "imagecodecs", must,
            lambda image=image: codec.decode(codec.encode(image, settings)),
            lambda image=image: imagecodecs.jpeg8_decode(
                imagecodecs.jpeg8_encode(image, **settings.fast)
            ),
            turns=15,
        )  # fmt: skip


def many_images(images: list[Image]) -> Iterator[Comparison]:
    """A batch and a loop."""
    codec = codecframe.get_codec("jpeg")
    settings = codec.settings_type()

    def loop() -> list[bytes]:
        return [_pillow(image, "JPEG", quality=75) for image in images]

    yield Comparison(
        f"encode_many of {len(images):,} images of 32x32, JPEG", "a loop over Pillow", 6,
        lambda: codec.encode_many(images, settings), loop, faster=True,
    )  # fmt: skip


def budgets() -> Iterator[Comparison]:
    """Byte budgets met, and what one would do without a controller."""
    images = [natural_image(1080, 1920, seed=seed) for seed in (2, 3, 4)]
    for name in ("jpeg", "webp"):
        codec = codecframe.get_codec(name)
        settings = codec.settings_type()
        plain = [
            (image, codec.settings_type(quality=quality))
            for image in images
            for quality in (30, 60)
        ]
        limits = [len(codec.strip(codec.encode(*one))) + 1 for one in plain]
        work = [(image, limit) for (image, _), limit in zip(plain, limits, strict=True)]

        def ours(codec: Any = codec, settings: Any = settings, work: Any = work) -> list[int]:
            return [
                fit(codec, image, settings, limit, Accounting.PAYLOAD)[0].size
                for image, limit in work
            ]

        sizes = ours()
        assert all(size <= limit for size, limit in zip(sizes, limits, strict=True))
        used = np.mean([size / limit for size, limit in zip(sizes, limits, strict=True)])
        note = f"{100 * used:.1f} % of the budgets used"
        what = f"encode to a byte budget, {name}, {len(work)} times 1080p"
        yield Comparison(
            what, "plain encodes", 3, ours,
            lambda codec=codec, plain=plain: [codec.encode(*one) for one in plain],
            turns=5, note=lambda note=note: note,
        )  # fmt: skip
        yield Comparison(
            what, "a binary search over quality", 0.45, ours,
            lambda codec=codec, work=work: [_searched(codec, *one) for one in work],
            turns=3, note=lambda note=note: note,
        )  # fmt: skip


def _searched(codec: Any, image: Image, limit: int) -> bytes:
    """The highest whole quality under a limit, as CompressAI's `find_close` looks for it."""
    low, high, best = 1, 100, b""
    while low <= high:
        middle = (low + high) // 2
        data = codec.encode(image, codec.settings_type(quality=middle))
        if len(codec.strip(data)) <= limit:
            low, best = middle + 1, data
        else:
            high = middle - 1
    return best


def learned(images: list[Image]) -> Iterator[Comparison]:
    """The learned codec to a budget and without one."""
    codec = codecframe.get_codec("vae")
    some = images[:50]

    def budgeted() -> None:
        for image in some:
            fit(codec, image, codec.settings_type(), 100, Accounting.PAYLOAD)

    def plain() -> None:
        for image in some:
            codec.encode(image, codec.settings_type())

    yield Comparison(
        "50 images to a byte budget, learned", "50 plain encodes", 1.3, budgeted, plain, turns=15
    )


def encoders(images: list[Image], folder: str) -> Iterator[Comparison]:
    """The learned codec, from images to bytes, and the paper's baselines, in one thread each.

    CompressAI as one calls it; and a classifier's front, whose features would still be to code.
    """
    import torch

    codec = codecframe.get_codec("vae")
    settings = codec.settings_type()
    prior = load(folder)[1].FactorizedPrior(128, 192).eval()  # the smaller of its two sizes
    prior.update()
    front = open_session(resnet18(2), "resnet18")

    def ours(count: int) -> None:
        with limit_threads(1):
            codec.encode_many(images[:count], settings)

    def factorized(count: int) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack(images[:count])).permute(0, 3, 1, 2)
            prior.compress(pixels.float() / 255)
        torch.set_num_threads(threads)

    def resnet(count: int) -> None:
        front.run(None, {"images": np.stack(images[:count])})

    for count, some in ((1, "one image"), (64, "64 images")):
        for name, theirs in (
            ("CompressAI's bmshj2018-factorized", factorized),
            ("ResNet-18 up to layer 2, onnxruntime", resnet),
        ):
            yield Comparison(
                f"learned encode of {some}, one thread", name, 1.5,
                partial(ours, count), partial(theirs, count), faster=True,
            )  # fmt: skip


def latents(images: list[Image], folder: str) -> Iterator[Comparison]:
    """Entropy coding, and CompressAI's coder, which takes lists of symbols and of tables.

    First with the same tables, one a channel; then with what the learned codec does instead, whose
    tables depend on the latents around: more work, and fewer bytes.
    """
    ans, _ = load(folder)
    from codecframe_vae.models import CIFAR10

    level = 10
    model = CIFAR10.context(level)
    values = np.stack([CIFAR10.quantise(real, level) for real in CIFAR10.analyse(images)])
    symbols = fold_sign(values.astype(int))  # both code them
    frequency = _frequencies(symbols)
    size = frequency.shape[1]
    cdfs = [[0, *np.cumsum(row.astype(int) * 4).tolist()] for row in frequency]  # 16 bits there
    sizes, offsets = [size + 1] * len(cdfs), [0] * len(cdfs)
    indexes = np.repeat(np.arange(values.shape[1]), values[0, 0].size).tolist()
    lists = [one.reshape(-1).tolist() for one in symbols]

    def encode(some: list[list[int]]) -> list[bytes]:
        coder = ans.RansEncoder()
        return [coder.encode_with_indexes(s, indexes, cdfs, sizes, offsets) for s in some]

    def decode(some: list[bytes]) -> object:
        coder = ans.RansDecoder()
        return [coder.decode_with_indexes(b, indexes, cdfs, sizes, offsets) for b in some]

    theirs = encode(lists)
    assert decode(theirs[:1]) == lists[:1]
    height, width = values.shape[2:]
    kinds = {"the same tables": _without_context(frequency), "tables by context": model}
    for name, context in kinds.items():
        ours = context.encode(values)
        assert np.array_equal(context.decode(ours, height, width), values)
        note = (
            f"{name}; {np.mean([len(b) for b in ours]):.1f} bytes an image, "
            f"CompressAI {np.mean([len(b) for b in theirs]):.1f}"
        )
        for count, some in ((len(images), f"of {len(images):,} images"), (1, "of one image")):
            yield Comparison(
                f"entropy coding {some}, {name}", "CompressAI's rANS", 1,
                lambda n=count, c=context: c.encode(values[:n]), lambda n=count: encode(lists[:n]),
                faster=True, note=lambda note=note: note,
            )  # fmt: skip
            yield Comparison(
                f"entropy decoding {some}, {name}", "CompressAI's rANS", 1,
                lambda n=count, c=context, b=ours: c.decode(b[:n], height, width),
                lambda n=count: decode(theirs[:n]), faster=True, note=lambda note=note: note,
            )  # fmt: skip


def _frequencies(symbols: Any) -> Any:
    """How often each channel has each symbol, and a last one that never comes; rows sum to 2^14."""
    channels, most = symbols.shape[1], int(symbols.max()) + 1
    counts = [np.bincount(symbols[:, c].ravel(), minlength=most + 1) for c in range(channels)]
    share = np.array(counts) + 1.0
    whole = np.floor(share / share.sum(1, keepdims=True) * (TOTAL - most - 1)).astype(int) + 1
    whole[np.arange(channels), whole.argmax(1)] += TOTAL - whole.sum(1)
    return whole.astype(np.uint16)


def _without_context(frequency: Any) -> ContextModel:
    """The learned codec's coder with a table a channel."""
    channels = len(frequency)
    row = np.broadcast_to(np.arange(channels)[:, None], (2, channels, 1))
    arrays = ContextArrays(
        limit=np.full(channels, (frequency.shape[1] - 2) // 2, np.uint8),
        weight=np.zeros((2, channels, channels, 9), np.int8),
        shift=np.zeros(1, np.uint8),
        lut=np.zeros((2, channels, REACH), np.uint8),
        row=row.astype(np.uint16),
        frequency=frequency,
    )
    return ContextModel(arrays, 1)


def profiles(some: list[Image]) -> Iterator[Comparison]:
    """A profile, and the script that one would write, for two classifiers."""
    targets = [number % 10 for number in range(len(some))]
    items = [
        ImageItem(str(number), targets[number], lambda image=image: image)
        for number, image in enumerate(some)
    ]
    qualities = (10, 20, 30, 40, 50, 60, 70, 80)
    decibels = [20 + quality / 5 for quality in qualities]
    plans = [Plan(["jpeg", "webp", "avif"], levels=qualities), Plan(["jpeg2000"], levels=decibels)]

    def ours(head: codecframe.TaskHead) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for number, plan in enumerate(plans):
                path = Path(folder) / f"{number}.profile"
                profile_images(path, items, head, plan, prepare=False).close()

    def script(head: codecframe.TaskHead) -> None:
        for kind in ("JPEG", "WEBP", "AVIF", "JPEG2000"):
            for quality in qualities:
                how = {"quality": quality}
                if kind == "JPEG2000":
                    how = {"quality_mode": "dB", "quality_layers": [20 + quality / 5]}
                right = 0
                for image, target in zip(some, targets, strict=True):
                    decoded = np.array(PilImage.open(io.BytesIO(_pillow(image, kind, **how))))
                    right += int(head.predict([decoded]).scores.argmax() == target)

    heads = {"ResNet-20 in torch": resnet20(), "cifar10": codecframe.get_head("cifar10")}
    for name, head in heads.items():
        yield Comparison(
            f"profile of {len(some):,} images x 8 qualities x 4 codecs, {name}",
            "a script with Pillow", 3, partial(ours, head), partial(script, head),
            faster=True, turns=1,
        )  # fmt: skip


def resnet20() -> codecframe.TaskHead:
    """ResNet-20 for CIFAR (He et al., CVPR 2016), of random weights, on which no time depends."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs: int, width: int) -> None:
            super().__init__()
            stride = width // inputs
            self.first = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
            self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
            self.around = nn.Conv2d(inputs, width, 1, stride) if stride > 1 else nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.norms[0](self.first(x)).relu()
            return (self.norms[1](self.second(y)) + self.around(x)).relu()

    widths = (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)
    blocks = [Block(inputs, width) for inputs, width in pairwise(widths)]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return TorchHead(nn.Sequential(*stem, *blocks, *end), name="resnet20")


def _pillow(image: Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    PilImage.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def starts() -> Iterator[dict[str, Any]]:
    """Seconds that a start takes beyond Python's own."""
    program = str(Path(sys.executable).with_name("codecframe"))
    commands = {
        "import codecframe": [sys.executable, "-c", "import codecframe"],
        "codecframe --help": [program, "--help"],
    }
    for name, command in commands.items():
        times: list[list[float]] = [[], []]
        for _ in range(9):
            for side, words in enumerate((command, [sys.executable, "-c", "pass"])):
                start = time.perf_counter()
                subprocess.run(words, check=True, capture_output=True)
                times[side].append(time.perf_counter() - start)
        ours, theirs = (statistics.median(side) for side in times)
        yield {
            "what": name,
            "against": "python -c pass",
            "ours_ms": round(1e3 * ours, 1),
            "theirs_ms": round(1e3 * theirs, 1),
            "ratio": round(ours - theirs, 3),
            "must": "<= 0.2 s more",
            "met": ours - theirs <= 0.2,
            "note": "",
        }


def main() -> None:
    """Measure everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compressai", help="folder with CompressAI")
    parser.add_argument("--output", type=Path, default=Path("recipes/results"))
    parser.add_argument("--images", type=int, default=10_000, help="of 32x32")
    parser.add_argument("--profile-images", type=int, default=1000, help="of those")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    images, source = small_images(given.images)
    profiled = images[: given.profile_images]
    parts = [one_image(), many_images(images), budgets(), learned(images), profiles(profiled)]
    if given.compressai:
        parts += [encoders(images, given.compressai), latents(images[:1000], given.compressai)]
    rows = []
    for part in parts:
        for comparison in part:
            rows.append(comparison.run())
            print(json.dumps(rows[-1]), flush=True)
    for row in starts():
        rows.append(row)
        print(json.dumps(row), flush=True)
    command = "python benchmarks/speed.py --compressai FOLDER"
    loops = "with" if importlib.util.find_spec("numba") else "without"
    notes = (
        "Medians; both sides of a comparison took turns in one process, with all cores; "
        f"{loops} numba (codecframe[fast]). Images of 32x32: {source}. "
        f"Load of the machine before: {load:.1f}."
    )
    given.output.mkdir(parents=True, exist_ok=True)
    write_results(given.output / "speed.json", "speed", command, rows, notes)


if __name__ == "__main__":
    main()
