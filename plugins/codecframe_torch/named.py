"""A torch module whose outputs have names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from codecframe_torch.model import by_name


class ByName(nn.Module):
    """A module around another one.

    Args:
        module: as `TorchModel` takes it.
    """

    def __init__(self, module: Callable[[Any], Any]) -> None:
        super().__init__()
        self.module = module

    def forward(self, values: Tensor) -> dict[str, Tensor]:
        """Its outputs, by name."""
        return by_name(self.module(values))
