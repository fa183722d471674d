"""Training with a codec as augmentation: the same small network, with and without it.

The images are made here: two classes of stripes, fine strong ones and coarse weak ones. A codec
wipes out the fine ones. A network that has seen this looks at the coarse ones as well.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from codecframe.integrations.torch import CodecTransform

SIDE = 32


class Textures(Dataset[tuple[torch.Tensor, int]]):
    """Stripes that rise or fall, on smooth ground, in some noise."""

    def __init__(self, count: int, seed: int, transform: torch.nn.Module | None = None) -> None:
        self._images, self._transform = [stripes(index, seed) for index in range(count)], transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self._images[index]
        return image if self._transform is None else self._transform(image), index % 2


def stripes(index: int, seed: int) -> torch.Tensor:
    """An image, `uint8`, (3, SIDE, SIDE), of the class `index % 2`."""
    rng = np.random.default_rng([seed, index])
    y, x = np.mgrid[:SIDE, :SIDE]
    along, phase = x + (2 * (index % 2) - 1) * y, rng.uniform(0, 6)
    wave = 16 * np.sin(along * rng.uniform(1.3, 1.7) + phase) + 12 * np.sin(along / 1.8 + phase)
    ground = rng.uniform(80, 170, 3) + 20 * np.sin((x * rng.normal() + y) / 20)[..., None]
    pixels = ground + wave[..., None] + rng.normal(0, 8, (SIDE, SIDE, 3))
    return torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)).permute(2, 0, 1)


def trained(transform: torch.nn.Module | None) -> torch.nn.Module:
    """A network after four epochs."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(16, 16, 3, padding=1), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 2),
    )  # fmt: skip
    adam = torch.optim.Adam(network.parameters(), 3e-3)
    textures = Textures(800, 1, transform)
    for _ in range(4):
        for images, targets in DataLoader(textures, batch_size=20, shuffle=True):
            loss = functional.cross_entropy(network(images / 255 - 0.5), targets)
            adam.zero_grad()
            loss.backward()
            adam.step()
    return network.eval()


def accuracy(network: torch.nn.Module, transform: torch.nn.Module | None) -> float:
    """On other images, behind a codec or none."""
    images, targets = next(iter(DataLoader(Textures(300, 2, transform), batch_size=300)))
    with torch.no_grad():
        found = network(images / 255 - 0.5).argmax(1)
    return float((found == targets).float().mean())


if __name__ == "__main__":
    augmentation = CodecTransform(["jpeg", "webp"], budget=("0.5bpp", "3bpp"), p=0.8)
    link = CodecTransform("jpeg", budget="0.5bpp")
    for name, transform in (("plain", None), ("augmented", augmentation)):
        network = trained(transform)
        clean, behind = accuracy(network, None), accuracy(network, link)
        print(f"{name:>9}: clean {clean:.0%}, behind JPEG at 0.5 bpp {behind:.0%}")
