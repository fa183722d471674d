"""Muon for kernels that a normalisation follows, Adam for all else, and their schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from codecframe_vae.training.precision import fast_type
from codecframe_vae.training.recipes import ScheduleRecipe, TrainingRecipe


@torch.no_grad()
def orthogonalise(matrix: Tensor, steps: int = 3) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly, by Newton-Schulz iteration: bfloat16 will do.

    Coefficients: Jordan et al., "Muon: an optimizer for hidden layers", 2024.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.to(fast_type(matrix.device.type))
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    nearest: Tensor = (x.T if tall else x).to(matrix.dtype)
    return nearest


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal over each kernel seen as a matrix (outputs, all else).

    Kernels keep the norm sqrt(outputs), so the learning rate is their relative change a step.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.6) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is not None:
                    self._update(kernel, kernel.grad, group["lr"], group["momentum"])
        return loss

    def _update(self, kernel: Tensor, gradient: Tensor, rate: float, momentum: float) -> None:
        state = self.state[kernel]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(kernel)
        buffer = state["momentum"].lerp_(gradient, 1 - momentum)
        flat = gradient.lerp(buffer, momentum).reshape(len(kernel), -1)
        step = orthogonalise(flat) * (len(kernel) / min(flat.shape)) ** 0.5
        kernel.mul_(len(kernel) ** 0.5 / (kernel.norm() + 1e-7))
        kernel.add_(step.view_as(kernel), alpha=-rate)


@dataclass(frozen=True)
class Part:
    """Parameters that are trained alike.

    Attributes:
        name: of their state in checkpoints.
        parameters: some or none.
        rate: learning rate.
        is_muon: by Muon, not Adam.
    """

    name: str
    parameters: list[Tensor]
    rate: float
    is_muon: bool = False

    def optimizer(self) -> torch.optim.Optimizer:
        """Of these parameters."""
        if self.is_muon:
            return Muon(self.parameters, self.rate)
        return torch.optim.Adam(self.parameters, self.rate, betas=(0.9, 0.98))


def network_parts(model: nn.Module, settings: TrainingRecipe, gain_rate: float) -> list[Part]:
    """Kernels of convolutions go to Muon; biases, `gains` and `prior` are few and have learning
    rates of their own: biases as only they scale what kernels of fixed norms see, the others to
    follow lambdas quickly.
    """
    parts: dict[str, list[Tensor]] = {"muon": [], "biases": [], "gains": [], "adam": []}
    for name, parameter in model.named_parameters():
        parts[_part_of(name, parameter)].append(parameter)
    return [
        Part("muon", parts["muon"], settings.muon_rate, is_muon=True),
        Part("biases", parts["biases"], settings.bias_rate),
        Part("gains", parts["gains"], gain_rate),
        Part("adam", parts["adam"], settings.adam_rate),
    ]


def _part_of(name: str, parameter: Tensor) -> str:
    if name.startswith(("gains.", "prior.")):
        return "gains"
    if parameter.ndim == 4:
        return "muon"
    is_bias = parameter.ndim == 1 or name.endswith("shifts")
    return "biases" if is_bias and not name.endswith("last.bias") else "adam"


def rate_factor(settings: ScheduleRecipe, step: int, steps: int, epoch_steps: int) -> float:
    """Factor of the learning rates, which rise, stay and fall, at a step of `steps` in all."""
    rise, fall = settings.warmup * epoch_steps, settings.cooldown * steps
    return min(1.0, (step + 1) / max(1.0, rise), (steps - step) / max(1.0, fall))


class Optimizers:
    """The optimizers of a model.

    Args:
        parts: of the model's parameters.
    """

    def __init__(self, parts: Iterable[Part]) -> None:
        self._all = {part.name: (part.optimizer(), part.rate) for part in parts if part.parameters}

    def step(self, factor: float) -> None:
        """A step at that factor of the learning rates; clears the gradients."""
        for optimizer, rate in self._all.values():
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """Their state."""
        return {
            f"{name}.{index}.{key}": torch.as_tensor(value)
            for name, (optimizer, _) in self._all.items()
            for index, state in optimizer.state_dict()["state"].items()
            for key, value in state.items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up a state that `tensors` gave."""
        for name, (optimizer, _) in self._all.items():
            states: dict[int, dict[str, Any]] = {}
            for key, value in tensors.items():
                owner, _, rest = key.partition(".")
                if owner == name:
                    index, _, field = rest.partition(".")
                    states.setdefault(int(index), {})[field] = value
            whole = optimizer.state_dict()
            whole["state"] = states
            optimizer.load_state_dict(whole)
