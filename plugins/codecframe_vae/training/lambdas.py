"""What a bit costs at each rate level, so that rates meet those that a recipe asks for."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from codecframe_vae.training.recipes import CodedRecipe

_LEAST, _MOST = 1e-6, 2e-2


class Lambdas:
    """Lambdas, in nats a bit; each follows the error of its level's rate, whatever the images.

    Args:
        recipe: rates, their shares of a batch, and lambdas to begin with.
        pixels: of an image.
    """

    def __init__(self, recipe: CodedRecipe, pixels: int) -> None:
        self._recipe = recipe
        self._lambdas = torch.tensor(recipe.lambdas)
        self._wanted = torch.tensor(recipe.rates) * pixels
        self._shares = torch.tensor(recipe.shares)

    def levels(self, count: int) -> Tensor:
        """Levels to train so many images at, drawn by their shares, (count,)."""
        return torch.multinomial(self._shares, count, replacement=True)

    def loss(self, level: Tensor, loss: Tensor, bits: Tensor) -> Tensor:
        """Mean of loss + lambda * bits, each (n,).

        A high lambda_ weighs a level down, so that none drowns the rest.
        """
        lambda_ = self._lambdas.to(loss.device)[level]
        weight = 1 / (1 + lambda_ / self._recipe.balance)
        return (weight * (loss + lambda_ * bits)).mean()

    def follow(self, level: Tensor, bits: Tensor, progress: float) -> None:
        """Move each level's lambda by the error of its rate.

        Args:
            level: of each image, (n,).
            bits: of each image, (n,).
            progress: of the training, from 0 to 1.
        """
        recipe = self._recipe
        still = 1 - min(1.0, progress / recipe.anneal) if recipe.anneal else 0.0
        wanted = self._wanted * recipe.anneal_from**still
        calm = min(1.0, 4 * (1 - progress))
        for number in range(len(wanted)):
            mine = level == number
            if mine.any():
                error = math.log(max(1.0, float(bits[mine].mean())) / float(wanted[number]))
                push = recipe.control * calm * max(-1.0, min(1.0, error))
                lambda_ = float(self._lambdas[number]) * math.exp(push)
                self._lambdas[number] = min(max(lambda_, _LEAST), _MOST)

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"lambdas": self._lambdas.clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from the lambdas of a checkpoint."""
        self._lambdas = state["lambdas"].clone()
