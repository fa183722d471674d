"""Your own classifier behind a codec: a torch module, and a Python function.

Both are made here, so that the example needs nothing else. The module has filters set by hand: it
tells smooth images from striped ones, by the direction of the stripes.
"""

from __future__ import annotations

import numpy as np
import torch

from codecframe import Pipeline
from codecframe_callable import CallableHead
from codecframe_torch import TorchHead

LABELS = ("horizontal stripes", "vertical stripes", "smooth")


class Stripes(torch.nn.Module):
    """Energy of vertical and horizontal differences, against a threshold."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Scores (images, 3) of images (images, 3, height, width) from 0 to 1."""
        grey = values.mean(dim=1)
        down = (grey[:, 1:] - grey[:, :-1]).abs().mean(dim=(1, 2))
        across = (grey[:, :, 1:] - grey[:, :, :-1]).abs().mean(dim=(1, 2))
        return 20 * torch.stack([down, across, torch.full_like(down, 0.05)], dim=1)


def darkest_channel(images: list[np.ndarray]) -> np.ndarray:
    """A classifier without any framework: scores (images, 3) of `uint8` RGB images."""
    return np.stack([-image.mean(axis=(0, 1)) / 32 for image in images])


def striped(axis: int, period: int = 16, side: int = 96) -> np.ndarray:
    """A test image: stripes across rows (0) or columns (1)."""
    wave = 128 + 60 * np.sign(np.sin(2 * np.pi * np.arange(side) / period))
    grey = np.broadcast_to(wave[:, None] if axis == 0 else wave, (side, side))
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)


def main() -> None:
    """Classify through JPEG at a fraction of a bit per pixel."""
    images = [striped(0), striped(1), np.full((96, 96, 3), (200, 90, 140), np.uint8)]

    head = TorchHead(Stripes(), preprocess={"resize": [64, 64]}, labels=LABELS, name="stripes")
    prediction = Pipeline("jpeg", head, budget="0.5bpp").predict(images)
    for (top,) in prediction.top(1):
        print(f"{head.name}: {top.label} ({top.probability:.0%})")

    colours = CallableHead(darkest_channel, labels=("red", "green", "blue"))
    evaluation = Pipeline("webp", colours, budget="600B").evaluate(images[2:], [1])
    print(f"{colours.name}: right {evaluation.score:.0%}, {evaluation.bytes_per_image:.0f} bytes")


if __name__ == "__main__":
    main()
