"""Two layers: top-1 by the task layer, and PSNR of the picture, at the bytes of both together.

python benchmarks/layers.py DATA [-o FOLDER]

DATA is the folder that recipes of CIFAR-10 and of ImageNet's sample take. Writes `layers.json` and
two contact sheets, of twelve test images and twelve photographs, each above what came back.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage

import codecframe
from codecframe.core.image import Image
from codecframe.evaluation.results import write_results
from codecframe.images import open_images

LIMITS = {"cifar10": 0.80, "photographs": 0.345}
"""Bits per pixel of both layers, at most; the second of a task layer of 0.17."""
LEVELS = {"cifar10": 5, "photographs": 7}
"""Of the task layers: 0.395 and 0.17 bpp."""
CHOSEN_ON = 200
"""Images that say which level of the picture keeps to the limit."""
_SHOWN = 12
_ZOOM = {"cifar10": 3, "photographs": 1}


@dataclass(frozen=True)
class Set:
    """Images with the classes that they are of, and others, which choose the picture's level."""

    name: str
    images: list[Image]
    targets: list[Any]
    head: codecframe.TaskHead
    others: list[Image]


def cifar(data: Path) -> Set:
    """CIFAR-10's test images."""
    head = codecframe.get_head("cifar10-vae")
    sets = (open_images(f"cifar10:{part}", data_root=data) for part in ("test", "train"))
    return _set("cifar10", *sets, head)


def photographs(data: Path) -> Set:
    """The evaluation half of ImageNet's sample, as the classifier looks at it."""
    folder = data / "imagenet-sample"
    sets = (
        open_images(str(folder), labels=folder / "labels.csv", where={"split": part})
        for part in ("eval", "tune")
    )
    return _set("photographs", *sets, codecframe.get_head("efficientnet-vae"))


def _set(name: str, items: Sequence[Any], others: Sequence[Any], head: codecframe.TaskHead) -> Set:
    images, choosing = (
        [head.prepare(item.read()) for item in some] for some in (items, others[-CHOSEN_ON:])
    )
    targets = [head.target_of(str(item.target)) for item in items]
    return Set(name, images, targets, head, choosing)


def measured(some: Set, codec: str, count: int) -> tuple[dict[str, Any], list[Image]]:
    """(a row, what came back) of the first `count` images, at the limit of their set."""
    found, level = codecframe.get_codec(codec), LEVELS[some.name]
    images, targets = some.images[:count], some.targets[:count]
    picture = _highest(found, some.others, level, LIMITS[some.name])
    datas = found.encode_many(images, level=level, picture=picture)
    layers = [found.strip_layers(data) for data in datas]
    pixels = images[0].shape[0] * images[0].shape[1]
    latents = found.decode_latents_many(datas)
    scores = np.concatenate(
        [some.head.predict(latents[at : at + 200]).scores for at in range(0, len(latents), 200)]
    )
    back = found.decode_many(datas)
    row = {
        "images": some.name,
        "codec": codec,
        "level": level,
        "picture": picture,
        "n": len(images),
        "task_bpp": _mean([8 * len(one.task) / pixels for one in layers]),
        "bpp": _mean([8 * len(one.packed()) / pixels for one in layers]),
        "top1": _mean((scores.argmax(1) == np.array(targets)).tolist()),
        "psnr": _mean([_psnr(*pair) for pair in zip(images, back, strict=True)]),
    }
    return row, back


def _highest(codec: Any, images: list[Image], level: int, limit: float) -> int:
    """The highest level of the picture whose mean rate is under the limit."""
    pixels = images[0].shape[0] * images[0].shape[1]
    low, high = 0, codec.settings_type.picture_levels()
    while high - low > 1:
        middle = (low + high) // 2
        datas = codec.encode_many(images, level=level, picture=middle)
        rate = _mean([8 * len(codec.strip(data)) / pixels for data in datas])
        low, high = (middle, high) if rate <= limit else (low, middle)
    return low


def _mean(values: list[Any]) -> float:
    return round(float(np.mean(values)), 4)


def _psnr(image: Image, back: Image) -> float:
    error = np.mean((image.astype(float) - back) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


def sheet(images: Sequence[Image], back: Sequence[Image], path: Path, zoom: int) -> None:
    """Pairs side by side, six in a row: as they were above, as they came back below."""
    places = np.linspace(0, len(images) - 1, _SHOWN).astype(int)
    rows = []
    for some in (places[: _SHOWN // 2], places[_SHOWN // 2 :]):
        rows += [np.concatenate([of[i] for i in some], 1) for of in (images, back)]
    whole = np.concatenate(rows).repeat(zoom, 0).repeat(zoom, 1)
    PilImage.fromarray(whole).save(path, quality=90)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("."))
    parser.add_argument("--count", type=int, default=10_000, help="images of a set, at most")
    given = parser.parse_args()
    rows = []
    tries = (
        (cifar, (("vae", 10_000), ("vae+avif", 2_000))),
        (photographs, (("efficientnet-vae+avif", 400),)),
    )
    for images_of, codecs in tries:
        some = images_of(given.data)
        for codec, most in codecs:
            row, back = measured(some, codec, min(most, given.count))
            rows.append(row)
            print(row, flush=True)
            if codec in ("vae", "efficientnet-vae+avif"):
                path = given.output / f"layers-{some.name}.jpg"
                sheet(some.images[: len(back)], back, path, _ZOOM[some.name])
    notes = "Payload bytes of both layers, with the byte that says where the first ends."
    command = "python benchmarks/layers.py DATA"
    write_results(given.output / "layers.json", "layers", command, rows, notes)


if __name__ == "__main__":
    main()
