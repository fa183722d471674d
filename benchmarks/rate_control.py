"""How well budgets are met: encodes an image, share of the budget used, and the largest image.

python benchmarks/rate_control.py [FOLDER] [LABELS.CSV]

Images are brought to EfficientNet-Lite0's 224x224; without a folder, those that packages ship.
"""

from __future__ import annotations

import sys

import codecframe
from codecframe.core.codec import Fit
from codecframe.core.image import Image
from codecframe.evaluation.demo import installed_photos
from codecframe.images import open_images
from codecframe.rate import Budget, controller

CODECS = {"jpeg": {}, "webp": {}, "avif": {"speed": 9}, "jpegxl": {}}
BUDGETS = (("0.4bpp", "cap"), ("0.8bpp", "cap"), ("0.8bpp", "mean"))


def load(arguments: list[str]) -> list[Image]:
    """The images that the command line names; of labelled ones those of the split `eval`."""
    head = codecframe.get_head("efficientnet-lite0")
    where = {"split": "eval"} if len(arguments) > 1 else None
    items = open_images(
        arguments[:1] or installed_photos(),
        labels=arguments[1] if where else None,
        where=where,
        limit=200,
    )
    return [head.prepare(item.read()) for item in items]


def main() -> None:
    """Measure and print a table."""
    images = load(sys.argv[1:])
    print(f"{len(images)} images\n")
    print("| codec | budget | met | encodes an image | budget used % | largest / budget |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, settings in CODECS.items():
        codec = codecframe.get_codec(name)
        for text, mode in BUDGETS:
            budget = Budget.parse(text, mode=mode)
            rate = controller(codec, codec.settings_type.from_dict(settings), budget)
            fits = [fit for fit in rate.encode_many(images) if isinstance(fit, Fit)]
            allowed = budget.bytes_for(images[0].shape[:2])
            sizes = [fit.size for fit in fits]
            encodes = sum(fit.encodes for fit in fits) / len(fits)
            print(
                f"| {name} | {text} {mode} | {len(fits)} | {encodes:.2f} "
                f"| {100 * sum(sizes) / len(sizes) / allowed:.1f} "
                f"| {max(sizes) / allowed:.2f} |"
            )


if __name__ == "__main__":
    main()
