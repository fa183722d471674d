r"""The detector of shapes that `codecframe demo detection` shows: trained anew, in a few minutes.

It learns from photographs of scikit-image that the demonstration does not show, and from made
pictures of overlapping leaves.

    python benchmarks/train_shapes.py --output codecframe/evaluation/shapes/detector.onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PilImage
from PIL import ImageDraw
from torch import Tensor, nn
from torch.nn import functional

from codecframe.core.image import Image
from codecframe.evaluation.shapes import CLASSES, SIDE, Scene, cropped, draw_scene
from codecframe.images import read_image
from codecframe_vae.training.export import exported, packed

STRIDE = 8
RATE = 4e-3
PHOTOS = (
    "astronaut.png", "brick.png", "clock_motion.png", "coins.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "ihc.png", "moon.png", "retina.jpg",
)  # fmt: skip


class Network(nn.Module):
    """Scores of classes, and distances to the sides of a box, for each place of a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 24, 6, 4, 1), nn.ReLU(), block(24, 40, stride=2),
            block(40, 40), block(40, 40, dilation=2), block(40, 40, dilation=3),
            block(40, 40),
        )  # fmt: skip
        self.scores = nn.Conv2d(40, len(CLASSES), 1)
        self.sides = nn.Conv2d(40, 4, 1)
        nn.init.constant_(self.scores.bias, -4.0)
        nn.init.constant_(self.sides.bias, 1.0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, classes, h, w); left, top, right, bottom in cells, (n, 4, h, w)."""
        features = self.body(images)
        return self.scores(features), functional.softplus(self.sides(features))


def block(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> nn.Module:
    """Convolution, normalisation, activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Yolo(nn.Module):
    """The network with outputs of the layout `yolo`: (n, 4 + classes, places)."""

    def __init__(self, network: Network, side: int) -> None:
        super().__init__()
        self.network = network
        cells = torch.arange(side // STRIDE, dtype=torch.float32) + 0.5
        self.register_buffer("x", cells[None, :].expand(len(cells), -1).reshape(1, -1))
        self.register_buffer("y", cells[:, None].expand(-1, len(cells)).reshape(1, -1))

    def forward(self, images: Tensor) -> Tensor:
        """Centre, width and height in pixels, then scores from 0 to 1."""
        logits, sides = self.network(images)
        left, top, right, bottom = sides.flatten(2).unbind(1)
        boxes = [self.x + (right - left) / 2, self.y + (bottom - top) / 2]
        boxes = torch.stack([*boxes, left + right, top + bottom], dim=1) * STRIDE
        return torch.cat([boxes, logits.flatten(2).sigmoid()], dim=1)


def leaves(random: np.random.Generator, side: int = 400) -> Image:
    """Overlapping ellipses, bars and lines of random colours: edges and corners of all kinds."""
    picture = PilImage.new("RGB", (side, side), tuple(random.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(random.integers(40, 200))):
        colour = tuple(random.integers(0, 256, 3).tolist())
        x, y = random.uniform(-40, side, 2)
        size = np.exp(random.uniform(np.log(6), np.log(120), 2))
        kind = random.integers(3)
        if kind == 0:
            draw.ellipse((x, y, x + size[0], y + size[1]), fill=colour)
        elif kind == 1:
            ends = random.uniform(-40, side + 40, (2, 2))
            draw.line([tuple(end) for end in ends], colour, int(random.integers(1, 12)))
        else:
            corners = random.uniform(-1, 1, (int(random.integers(3, 6)), 2)) * size + (x, y)
            draw.polygon([tuple(corner) for corner in corners], fill=colour)
    soft = picture.reduce(int(random.integers(1, 4))).resize((side, side))
    grain = random.normal(0, random.uniform(0, 12), (side, side, 1))
    return (np.asarray(soft) * 0.8 + 25 + grain).clip(0, 255).astype(np.uint8)


def photographs() -> list[Image]:
    """Those of scikit-image to learn from."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return [read_image(folder / name) for name in PHOTOS]


def backgrounds(random: np.random.Generator, side: int, count: int = 1000) -> list[Image]:
    """Crops of the photographs, and of as many made pictures."""
    photos = photographs()
    made = [leaves(random) for _ in range(count // 8)]
    return [
        cropped(some[random.integers(len(some))], random, side=side)
        for some in (photos, made)
        for _ in range(count // 2)
    ]


def scenes(under: list[Image], count: int, random: np.random.Generator) -> list[Scene]:
    """Scenes to learn from, turned and with colours exchanged."""
    made = []
    for _ in range(count):
        image = np.rot90(under[random.integers(len(under))], int(random.integers(4)))
        image = np.ascontiguousarray(image[:, :, random.permutation(3)])
        made.append(draw_scene(image, random, int(random.integers(1, 5))))
    return made


def wanted(scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    """Of a scene, for each cell: a class's score, whether it has a box, and the box's sides."""
    cells = scene.image.shape[0] // STRIDE
    middle = np.arange(cells) + 0.5
    scores = np.zeros((len(CLASSES), cells, cells), np.float32)
    inside = np.zeros((cells, cells), np.float32)
    sides = np.zeros((4, cells, cells), np.float32)
    for (x0, y0, x1, y1), kind in zip(scene.corners / STRIDE, scene.classes, strict=True):
        x, y, reach = (x0 + x1) / 2, (y0 + y1) / 2, max((x1 - x0 + y1 - y0) / 8, 0.75)
        near = (np.abs(middle - x)[None, :] <= reach) & (np.abs(middle - y)[:, None] <= reach)
        scores[kind][near] = 1
        inside[near] = 1
        grid = np.broadcast_arrays(
            middle[None, :] - x0, middle[:, None] - y0, x1 - middle[None, :], y1 - middle[:, None]
        )
        sides[:, near] = np.stack(grid)[:, near]
    return torch.from_numpy(scores), torch.from_numpy(inside), torch.from_numpy(sides)


def loss_of(logits: Tensor, sides: Tensor, truth: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Focal loss of the scores (Lin et al. 2017) and 1 - IoU of the boxes, per shape's cell."""
    scores, inside, real = truth
    cross = functional.binary_cross_entropy_with_logits(logits, scores, reduction="none")
    sure = (logits.sigmoid() - scores).abs()
    cells = inside.sum().clamp(min=1)
    smaller = torch.minimum(sides, real)
    shared = (smaller[:, 0] + smaller[:, 2]) * (smaller[:, 1] + smaller[:, 3])
    area = [(one[:, 0] + one[:, 2]) * (one[:, 1] + one[:, 3]) for one in (sides, real)]
    overlap = shared / (area[0] + area[1] - shared).clamp(min=1e-6)
    return ((sure**2 * cross).sum() + 2 * ((1 - overlap) * inside).sum()) / cells


def train(steps: int, side: int, seed: int) -> Network:
    """Train with a rate that rises at once and falls to nothing."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = Network()
    under = backgrounds(random, side)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-4)
    shown = 0.0
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = (
                4e-3 * min(1.0, (step + 1) / 50) * 0.5 * (1 + np.cos(np.pi * step / steps))
            )
        batch = scenes(under, 16, random)
        images = torch.from_numpy(np.stack([one.image for one in batch])).permute(0, 3, 1, 2)
        truth = [torch.stack(parts) for parts in zip(*map(wanted, batch), strict=True)]
        loss = loss_of(*network(images.float() / 127.5 - 1), (truth[0], truth[1], truth[2]))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        shown += (loss.item() - shown) * (0.02 if step else 1)
        if step % 50 == 49:
            print(f"step {step + 1}  loss {shown:.3f}", flush=True)
    return network.eval()


def export(network: Network, path: Path) -> None:
    """Write the ONNX file, of any batch size."""
    graph = exported(
        Yolo(network, SIDE).eval(),
        {"image": torch.zeros(2, 3, SIDE, SIDE)},
        {"image": {0: torch.export.Dim("images", min=1, max=1024)}},
        "boxes",
    )
    path.write_bytes(packed(graph))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--side", type=int, default=160, help="of the scenes to learn from")
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    network = train(said.steps, said.side, said.seed)
    print(sum(one.numel() for one in network.parameters()), "parameters")
    export(network, said.output)
    print(said.output.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
