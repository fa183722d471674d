"""EfficientNet-Lite0 (Tan & Le, ICML 2019; the Lite variant: ReLU6, no squeeze-and-excitation)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_STAGES = (
    # kernel, stride, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000


class _Conv(nn.Module):
    """Convolution and batch normalisation, padded as TensorFlow's `same` pads even sizes."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        total = kernel - stride
        self.pad: nn.Module = nn.Identity()
        if stride > 1:
            self.pad = nn.ZeroPad2d((total // 2, total - total // 2) * 2)
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`float32`, (images, inputs, height, width) to (images, outputs, ...)."""
        y: torch.Tensor = self.norm(self.conv(self.pad(x)))
        return y


class _Block(nn.Module):
    """Inverted residual: expand, depthwise convolution, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [_Conv(inputs, wide, 1), nn.ReLU6(inplace=True)]
        layers += [_Conv(wide, wide, kernel, stride, groups=wide), nn.ReLU6(inplace=True)]
        layers += [_Conv(wide, outputs, 1)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`float32`, (images, inputs, height, width) to (images, outputs, ...)."""
        y: torch.Tensor = self.layers(x)
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """`float32` images, (n, 3, 224, 224), to logits, (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_Conv(3, _STEM, 3, 2), nn.ReLU6(inplace=True))
        blocks: list[nn.Module] = []
        channels = _STEM
        for kernel, stride, expansion, outputs, count in _STAGES:
            for i in range(count):
                block = _Block(channels, outputs, kernel, stride if i == 0 else 1, expansion)
                blocks.append(block)
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(_Conv(channels, _HEAD, 1), nn.ReLU6(inplace=True))
        self.classifier = nn.Linear(_HEAD, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = self.head(self.blocks(self.stem(x)))
        logits: torch.Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits

    def load_in_order(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take weights that come in the network's order, whatever their names.

        Raises:
            ValueError: if their number or a shape differs.
        """
        own = self.state_dict()
        if [tuple(w.shape) for w in weights.values()] != [tuple(w.shape) for w in own.values()]:
            raise ValueError("these are not the weights of EfficientNet-Lite0")
        self.load_state_dict(dict(zip(own, weights.values(), strict=True)))

    def fold_norms(self) -> None:
        """Take every normalisation into its convolution: the same function, half the time."""
        for module in self.modules():
            if isinstance(module, _Conv) and isinstance(module.norm, nn.BatchNorm2d):
                module.conv = fuse_conv_bn_eval(module.conv, module.norm)
                module.norm = nn.Identity()
