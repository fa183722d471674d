"""What ONNX's operators do, in torch: those that image classifiers are made of.

A value is a tensor where it depends on the images, or a numpy array where it is known without them:
a constant, or numbers made of sizes (of `dtype` object where torch traces them). So shapes stay
numbers through all that graphs compute with them, and `torch.export` can follow.
https://onnx.ai/onnx/operators says what each operator does in each version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Value = Any
"""A tensor, a numpy array, a tuple of them (several outputs), or None (an input left out)."""


@dataclass(frozen=True)
class Call:
    """One node of a graph, for the function of its operator.

    Attributes:
        attributes: by name: numbers, texts, lists, arrays.
        version: of the operators of the model.
        outputs: how many it has.
    """

    attributes: dict[str, Any]
    version: int
    outputs: int

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)


Operator = Callable[..., Value]
"""From a call and the inputs."""
OPERATORS: dict[str, Operator] = {}
STATIC: dict[str, set[int]] = {}
"""By operator: inputs that are numbers and not weights, even if they are constants."""


def operator(*names: str, static: Sequence[int] = ()) -> Callable[[Operator], Operator]:
    """Decorator for the function of an operator."""

    def keep(function: Operator) -> Operator:
        for name in names:
            OPERATORS[name] = function
            STATIC[name] = set(static)
        return function

    return keep


def plain(found: Any) -> Value:
    """An operator's result, numbers among them as arrays."""
    if isinstance(found, tuple):
        return tuple(plain(one) for one in found)
    if found is None or isinstance(found, (Tensor, np.ndarray)):
        return found
    return np.array(found, None if isinstance(found, (int, float, np.generic)) else object)


def numbers(value: Value) -> list[Any]:
    """A value as plain numbers.

    Raises:
        ValueError: if it depends on the images.
    """
    if isinstance(value, Tensor):
        raise ValueError("sizes or limits that depend on the image cannot be followed")
    return list(np.asarray(value).reshape(-1).tolist())


def tensor(value: Value) -> Any:
    """A value as torch's operators take it beside tensors: single numbers stay numbers."""
    if isinstance(value, Tensor):
        return value
    if value.ndim == 0:
        return value.item()
    return torch.from_numpy(np.ascontiguousarray(value))


def like(value: Value, other: Tensor) -> Tensor:
    """A value as a tensor of the type of another one."""
    found = tensor(value)
    return found if isinstance(found, Tensor) else torch.full((), found, dtype=other.dtype)


def sizes(value: Tensor) -> Value:
    """The shape of a tensor, as a value."""
    shape = list(value.shape)
    return np.array(shape, np.int64 if all(isinstance(n, int) for n in shape) else object)


def axes_of(call: Call, given: Value, rank: int) -> list[int]:
    """Axes, which older versions have as an attribute and newer ones as an input; none are all."""
    axes = call.get("axes") if given is None else numbers(given)
    return [int(axis) % rank for axis in axes] if axes else []
