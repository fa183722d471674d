"""The networks: encoder, gains, head and simple decoder.

Images are (n, 3, height, width), RGB 0..255, both sides multiples of `STRIDE`; latents are
(n, latents, height / STRIDE, width / STRIDE).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from codecframe_vae.networks.widths import STRIDE, HeadWidths, Widths

M = TypeVar("M", bound=nn.Module)

_SMALL = 0.004
"""Standard deviation of a last layer's weights to begin with: logits close to 0."""


def channels_last(module: M, device: str = "cpu") -> M:
    """The module on a device, its kernels stored as convolutions of images there are quickest."""
    move: Callable[..., M] = module.to  # torch's annotations know no `memory_format`
    return move(device, memory_format=torch.channels_last)


class Pointwise(nn.Conv2d):
    """1x1 convolution as a matrix product: its bfloat16 backward pass on CPUs is far faster."""

    def forward(self, x: Tensor) -> Tensor:
        """As `Conv2d`."""
        product = functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return product.permute(0, 3, 1, 2)


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution and batch normalisation to unit variance.

    3x3 kernels that do not narrow begin with all inputs as they are, before random outputs (Jordan,
    "94 % on CIFAR-10 in 3.29 seconds", 2024).
    """
    padding = (kernel - stride + 1) // 2
    conv: nn.Conv2d
    if kernel == 1:
        conv = Pointwise(inputs, outputs, 1, bias=False)
    else:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    if kernel == 3 and outputs >= inputs:
        nn.init.dirac_(conv.weight.data[:inputs], groups)
    norm = nn.BatchNorm2d(outputs, momentum=0.1)
    norm.weight.requires_grad_(False)  # kernels have a fixed norm, too: see `optim.Muon`
    return nn.Sequential(conv, norm)


class ResidualBlocks(nn.ModuleList):
    """Blocks of two 3x3 convolutions, each added to what goes in; a rectifier before the first.

    Args:
        width: channels.
        blocks: how many.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(blocks)
        )

    def forward(self, x: Tensor, shift: Tensor) -> Tensor:
        """Of `x`, (n, width, height, width), with a level's `shift`, (n, width), of channels."""
        x = functional.relu(x + shift[:, :, None, None].to(x.dtype))
        for block in self:
            x = x + block(x)
        return x


def halving(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, and the largest of each 2x2, normalised.

    Normalisation of what is left costs a quarter. Its scales stay positive: so it may be taken into
    the convolution.
    """
    conv, norm = convolution(inputs, outputs, 3)
    return nn.Sequential(conv, nn.MaxPool2d(2, ceil_mode=True), norm)


def further(width: int, count: int) -> list[nn.Module]:
    """So many convolutions of one width."""
    return [
        layer
        for _ in range(count)
        for layer in (convolution(width, width, 3), nn.ReLU(inplace=True))
    ]


class Separable(nn.Module):
    """A depthwise and a pointwise convolution, added to what goes in; a rectifier behind.

    A seventh of the weights of a 3x3 convolution of 96 channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        depthwise, pointwise = (
            convolution(width, width, 3, groups=width),
            convolution(width, width, 1),
        )
        self.body = nn.Sequential(*depthwise, *pointwise)

    def forward(self, x: Tensor) -> Tensor:
        """As any layer."""
        made: Tensor = functional.relu(x + self.body(x))
        return made


def _beginning(widths: Widths) -> list[nn.Module]:
    """The encoder's layers down to half resolution."""
    full, stem = widths.full[0], widths.stem[0]
    if not full:
        return [convolution(3, stem, 4, 2), nn.ReLU(inplace=True)]
    return [
        convolution(3, full, 3),
        nn.ReLU(inplace=True),
        *further(*widths.full),
        halving(full, stem),
        nn.ReLU(inplace=True),
    ]


class Encoder(nn.Module):
    """Images to real latents of about unit variance; no rate level enters."""

    mean: Tensor
    std: Tensor

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 128.0))
        self.register_buffer("std", torch.full((1, 3, 1, 1), 64.0))
        stem, encoder = widths.stem[0], widths.encoder[0]
        self.body = nn.Sequential(
            *_beginning(widths),
            *further(*widths.stem),
            halving(stem, encoder),
            nn.ReLU(inplace=True),
            *(
                [Separable(encoder) for _ in range(widths.encoder[1])]
                if widths.separable
                else further(*widths.encoder)
            ),
            convolution(encoder, widths.latents, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """`float32` latents."""
        x = (image.float() - self.mean) / self.std
        latents: Tensor = self.body(x)
        return latents.float()

    @torch.no_grad()
    def start_from(self, sample: Tensor) -> None:
        """Take the input's statistics and, for the first kernels, its principal patches.

        Args:
            sample: images, `uint8`. Half of the first kernels are whitened principal components,
                the other half their negatives (Jordan, "94 % on CIFAR-10 in 3.29 seconds", 2024).
        """
        x = sample.float()
        self.mean.copy_(x.mean((0, 2, 3), keepdim=True))
        self.std.copy_(x.std((0, 2, 3), keepdim=True))
        first = next(m for m in self.modules() if isinstance(m, nn.Conv2d))
        side = first.kernel_size[0]
        patches = functional.unfold((x - self.mean) / self.std, side, stride=side)
        flat = patches.transpose(1, 2).reshape(-1, patches.shape[1])
        values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
        half = min(first.out_channels // 2, len(values))
        whitened = (vectors / (values + 5e-4).sqrt()).T.flip(0)[:half]
        first.weight[:half] = whitened.view(half, 3, side, side)
        first.weight[half : 2 * half] = -first.weight[:half]


class Gains(nn.Module):
    """A level's multipliers, one a channel: `up` before rounding, `down` after decoding.

    Args:
        latents: channels.
        levels: rate levels.
        start: logarithms of the levels' multipliers to begin with, (levels,) or (levels, latents);
            by default from steps of 1.4 to steps of a third, in units of the latents' standard
            deviation.
        log_down: those after decoding, (levels, latents); by default they undo the others.
    """

    def __init__(
        self,
        latents: int,
        levels: int,
        start: Tensor | None = None,
        log_down: Tensor | None = None,
    ) -> None:
        super().__init__()
        if start is None:
            start = torch.linspace(-0.35, 1.1, levels)
        log_up = start[:, None].repeat(1, latents) if start.ndim == 1 else start.clone()
        self.log_up = nn.Parameter(log_up)
        self.log_down = nn.Parameter(-log_up.detach() if log_down is None else log_down.clone())

    def up(self, level: Tensor) -> Tensor:
        """Multipliers of each image's level, (n, latents, 1, 1)."""
        return self.log_up[level].exp()[:, :, None, None]

    def down(self, level: Tensor) -> Tensor:
        """Multipliers of each image's level, (n, latents, 1, 1)."""
        return self.log_down[level].exp()[:, :, None, None]


class Head(nn.Module):
    """Dequantised latents to logits; a level shifts the first layer's outputs."""

    def __init__(self, widths: HeadWidths) -> None:
        super().__init__()
        head, top = widths.head[0], widths.top[0]
        self.first = convolution(widths.latents, head, 3)
        self.shifts = nn.Parameter(torch.zeros(widths.levels, head))
        self.body = nn.Sequential(
            nn.ReLU(inplace=True),
            *further(*widths.head),
            halving(head, top),
            nn.ReLU(inplace=True),
            *further(*widths.top),
        )
        self.last = nn.Linear(2 * top, widths.classes)
        nn.init.normal_(self.last.weight, std=_SMALL)
        nn.init.zeros_(self.last.bias)

    def forward(self, latents: Tensor, shift: Tensor) -> Tensor:
        """Logits `float32`, (n, classes); `shift` is (n, head), or (1, head) for all."""
        x = self.first(latents)
        x = self.body(x + shift[:, :, None, None].to(x.dtype))
        pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
        logits: Tensor = self.last(pooled)
        return logits.float()


class PixelModel(nn.Module):
    """A learned codec's encoder and head, joined without rounding."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.encoder = Encoder(widths)
        self.head = Head(widths)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (n, classes), of images 0..255, (n, 3, height, width)."""
        y = self.encoder(images)
        logits: Tensor = self.head(y, self.head.shifts[-1:])
        return logits


class SimpleDecoder(nn.Module):
    """Dequantised latents to images, RGB 0..255; a level shifts the first layer's outputs.

    Args:
        latents: channels of the latents.
        levels: rate levels.
        width: channels at the latents' resolution, halved with every doubling of it.
        stride: pixels between latents, a power of 2.
    """

    def __init__(self, latents: int, levels: int, width: int, stride: int = STRIDE) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(latents, width, 3, padding=1)
        self.shifts = nn.Parameter(torch.zeros(levels, width))
        self.body = ResidualBlocks(width, 3)
        doublings = stride.bit_length() - 1
        last: list[nn.Module] = []
        for _ in range(doublings - 1):
            last += [
                nn.Conv2d(width, 4 * (width // 2), 3, padding=1),
                nn.PixelShuffle(2),
                nn.ReLU(inplace=True),
            ]
            width //= 2
        self.last = nn.Sequential(*last, nn.Conv2d(width, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, latents: Tensor, shift: Tensor) -> Tensor:
        """Images, (n, height, width, 3); `shift` is (n, width)."""
        made: Tensor = self.last(self.body(self.first(latents), shift))
        return (made.float() * 64 + 128).permute(0, 2, 3, 1)


class LinearDecoder(nn.Module):
    """Dequantised latents to images, RGB 0..255: each square from the latents around it.

    Args:
        latents: channels of the latents.
        levels: rate levels.
        stride: pixels between latents.
    """

    def __init__(self, latents: int, levels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(latents, 3 * stride * stride, 3, padding=1, bias=False)
        self.shifts = nn.Parameter(torch.zeros(levels, 3 * stride * stride))
        self.last = nn.PixelShuffle(stride)

    def forward(self, latents: Tensor, shift: Tensor) -> Tensor:
        """Images, (n, height, width, 3); `shift` is (n, 3 * stride * stride)."""
        made: Tensor = self.last(self.first(latents) + shift[:, :, None, None])
        return (made.float() * 64 + 128).permute(0, 2, 3, 1)


class ChannelsLast(nn.Module):
    """A network of images as they are stored, (n, height, width, 3)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """The network's output."""
        found: Tensor = self.network(images.permute(0, 3, 1, 2))
        return found


def folded(module: M) -> M:
    """The module in evaluation mode, each batch normalisation taken into the convolution before."""
    module = deepcopy(module).eval()
    for layers in module.modules():
        if not isinstance(layers, nn.Sequential):
            continue
        at = 0
        for place, layer in enumerate(layers):
            if isinstance(layer, nn.Conv2d):
                at = place
            elif isinstance(layer, nn.BatchNorm2d):
                conv = cast("nn.Conv2d", layers[at])
                layers[at] = _convolution(fuse_conv_bn_eval(conv, layer))
                layers[place] = nn.Identity()
    return module


def _convolution(conv: nn.Conv2d) -> nn.Conv2d:
    """The same without what `Pointwise` does for training."""
    plain = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        cast("tuple[int, int]", conv.kernel_size),
        cast("tuple[int, int]", conv.stride),
        cast("tuple[int, int]", conv.padding),
        groups=conv.groups,
    )
    plain.load_state_dict(conv.state_dict())
    return plain.eval()
