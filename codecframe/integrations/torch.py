"""Codecs in torch data pipelines. This module needs torch.

transform = CodecTransform(["jpeg", "webp"], budget=("0.2bpp", "2bpp"))
image = transform(image)   # as it comes out of a codec
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn

from codecframe.core.image import Image
from codecframe.images import read_image
from codecframe.integrations.augment import Augmentation, Draw
from codecframe.rate import Keep

_OVERSHOOT = 0.25
"""How far float tensors may lie outside 0 to 1: resizing overshoots at edges."""


class CodecTransform(nn.Module):
    """Compresses and decodes images, as a transform of torchvision's kind: a step of a pipeline, an
    augmentation, or a test of robustness.

    Takes a PIL image, a `uint8` array (height, width, 3), or a tensor (3, height, width) or (n, 3,
    height, width), `uint8` or float from 0 to 1, and gives back the same kind. PIL images are read
    by the rules of `codecframe.images.read_image`: orientation, colour profile, depth and
    transparency. Each image of a batch is drawn for by itself. Draws come from torch's random
    numbers: workers of a `DataLoader` differ, and `torch.manual_seed` repeats them.

    Args:
        codecs: what to draw from: `jpeg`, `jpeg:subsampling=4:4:4`, a model file...
        budget: `0.8bpp` or `12kB` an image at most; two draw the rate between them, evenly over
            its logarithm. None leaves the settings as they are; a `Keep` with what was measured
            takes the lowest level that surely keeps enough.
        knob: two values of the codecs' rate knob, e.g. `(10, 80)` for a quality; one is drawn
            between them. Not with a budget.
        p: how likely an image is changed at all.

    Attributes:
        sizes: bytes of the images of the last call's payloads; None for one that was left as it is.

    Raises:
        UnknownNameError, SettingsError, BudgetError: if arguments name what does not exist.
    """

    def __init__(
        self,
        codecs: str | Sequence[str] = "jpeg",
        *,
        budget: str | tuple[str, str] | Keep | None = None,
        knob: tuple[float, float] | None = None,
        p: float = 1.0,
    ) -> None:
        super().__init__()
        self.sizes: list[int | None] = []
        self._arguments = (codecs, budget, knob, p)
        _ = self._augmentation  # what is wrong with arguments is said at once

    def forward(self, image: Any, *rest: Any) -> Any:
        """The image, or the batch, after a codec.

        What else a pipeline hands on (boxes, masks, labels) comes back beside it as it is: an image
        keeps its size and its places.
        """
        self.sizes = []
        coded = self._forward(image)
        return (coded, *rest) if rest else coded

    def _forward(self, image: Any) -> Any:
        if isinstance(image, PIL.Image.Image):
            return PIL.Image.fromarray(self._coded(read_image(image)))
        if isinstance(image, np.ndarray):
            return self._coded(image)
        if not isinstance(image, Tensor) or image.ndim not in (3, 4) or image.shape[-3] != 3:
            raise TypeError(
                "CodecTransform takes PIL images, uint8 arrays (h, w, 3), or tensors (3, h, w) or "
                "(n, 3, h, w)"
            )
        if image.ndim == 4:
            parts = [self._tensor(one) for one in image]
            return torch.stack(parts) if parts else image
        return self._tensor(image)

    def extra_repr(self) -> str:
        """The arguments."""
        codecs, budget, knob, p = self._arguments
        return f"{codecs!r}, budget={budget!r}, knob={knob!r}, p={p}"

    def __getstate__(self) -> dict[str, Any]:
        """Without the codecs, which a worker opens for itself."""
        return {k: v for k, v in self.__dict__.items() if k != "_augmentation"}

    @cached_property
    def _augmentation(self) -> Augmentation:
        return Augmentation(*self._arguments)

    def _coded(self, image: Image) -> Image:
        first, second, third = torch.rand(3).tolist()
        result, size = self._augmentation(image, Draw(first, second, third))
        self.sizes.append(size)
        return result

    def _tensor(self, image: Tensor) -> Tensor:
        """One image, (3, height, width)."""
        pixels = image
        if image.is_floating_point():
            if not bool(((image > -_OVERSHOOT) & (image < 1 + _OVERSHOOT)).all()):
                raise TypeError("float tensors count from 0 to 1, and this one goes beyond")
            pixels = (image.detach() * 255).round().clamp(0, 255).to(torch.uint8)
        elif image.dtype != torch.uint8:
            raise TypeError(f"tensors are uint8 or float from 0 to 1, not {image.dtype}")
        array = np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy())
        made = torch.from_numpy(self._coded(array).copy()).permute(2, 0, 1).to(image.device)
        return made.to(image.dtype) / 255 if image.is_floating_point() else made
