"""Operators that calculate with each number, and reductions."""

from __future__ import annotations

import math
import operator as python
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codecframe_onnx.network.operators import (
    Call,
    Operator,
    Value,
    axes_of,
    like,
    numbers,
    operator,
    tensor,
)

_FLOATS = {1, 10, 11, 16}
"""ONNX's numbers of the floating-point types: all are calculated in float32."""
_TYPES = {2: np.uint8, 3: np.int8, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_}

_UNARY: dict[str, Any] = {
    "Abs": torch.abs,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "HardSwish": functional.hardswish,
    "Log": torch.log,
    "Mish": functional.mish,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Relu": torch.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Softplus": functional.softplus,
    "Softsign": functional.softsign,
    "Sqrt": torch.sqrt,
    "Tanh": torch.tanh,
}
_ON_NUMBERS: dict[str, Any] = {
    "Abs": abs,
    "Ceil": math.ceil,
    "Floor": math.floor,
    "Neg": python.neg,
    "Not": python.not_,
    "Sqrt": math.sqrt,
}
"""What the same do to one number made of sizes."""


def _unary(name: str, call: Call, x: Value) -> Value:
    if isinstance(x, Tensor):
        return _UNARY[name](x)
    if x.dtype == object or name in _ON_NUMBERS:
        return _each(_ON_NUMBERS[name], x)
    return _UNARY[name](torch.from_numpy(x)).numpy()


def _each(function: Any, *values: Value) -> Value:
    """A function of numbers for each number of arrays."""
    first = np.asarray(values[0])
    found = np.frompyfunc(function, len(values), 1)(*values)
    found = np.asarray(found, object)
    kinds = {type(one) for one in found.reshape(-1)}
    if kinds <= {bool, np.bool_}:
        return found.astype(np.bool_)
    if kinds <= {int, np.int64}:
        return found.astype(np.int64)
    if kinds <= {int, float, np.int64, np.float32, np.float64}:
        return found.astype(np.float32 if first.dtype.kind in "fO" else first.dtype)
    return found


def _truncated(a: Any, b: Any) -> Any:
    """Division as ONNX has it: of integers, towards zero."""
    if isinstance(a, (float, np.floating, torch.SymFloat)):
        return a / b
    return a // b if bool(a >= 0) == bool(b > 0) else -((-a) // b)


def _divided(a: Any, b: Any) -> Any:
    is_whole = isinstance(a, Tensor) and not a.is_floating_point()
    return torch.div(a, b, rounding_mode="trunc") if is_whole else a / b


_BINARY: dict[str, tuple[Any, Any]] = {
    "Add": (python.add, python.add),
    "And": (torch.logical_and, lambda a, b: a and b),
    "Div": (_divided, _truncated),
    "Equal": (python.eq, python.eq),
    "Greater": (python.gt, python.gt),
    "GreaterOrEqual": (python.ge, python.ge),
    "Less": (python.lt, python.lt),
    "LessOrEqual": (python.le, python.le),
    "Max": (torch.maximum, torch.sym_max),
    "Mean": (python.add, python.add),
    "Min": (torch.minimum, torch.sym_min),
    "Mod": (torch.remainder, python.mod),
    "Mul": (python.mul, python.mul),
    "Or": (torch.logical_or, lambda a, b: a or b),
    "Pow": (torch.pow, python.pow),
    "Sub": (python.sub, python.sub),
    "Sum": (python.add, python.add),
}
"""By operator: what it does to tensors, and to two numbers."""
_NEED_TENSORS = {"And", "Or", "Max", "Min"}


def _binary(name: str, call: Call, *values: Value) -> Value:
    """Of two inputs or more."""
    tensors = [one for one in values if isinstance(one, Tensor)]
    of_tensors, of_numbers = _BINARY[name]
    if not tensors:
        found = reduce(partial(_each, of_numbers), values)
    else:
        if name in _NEED_TENSORS:
            values = tuple(like(one, tensors[0]) for one in values)
        found = reduce(lambda a, b: of_tensors(tensor(a), tensor(b)), values)
    return found / len(values) if name == "Mean" else found


for _name in _UNARY:
    operator(_name)(partial(_unary, _name))
for _name in _BINARY:
    operator(_name)(partial(_binary, _name))


@operator("Identity", "Dropout")
def _same(call: Call, x: Value, *others: Value) -> Value:
    return (x, None) if call.outputs > 1 else x


@operator("Cast")
def _cast(call: Call, x: Value) -> Value:
    to = int(call.get("to"))
    if isinstance(x, Tensor):
        return x.float() if to in _FLOATS else x.to(torch.from_numpy(np.empty(0, _TYPES[to])).dtype)
    if x.dtype == object:
        return _each(torch.sym_float if to in _FLOATS else torch.sym_int, x)
    return x.astype(np.float32 if to in _FLOATS else _TYPES[to])


@operator("Where")
def _where(call: Call, condition: Value, a: Value, b: Value) -> Value:
    if not any(isinstance(one, Tensor) for one in (condition, a, b)):
        return np.where(condition.astype(np.bool_), a, b)
    kind = next((one for one in (a, b) if isinstance(one, Tensor)), torch.zeros(()))
    chosen = condition if isinstance(condition, Tensor) else torch.as_tensor(condition)
    return torch.where(chosen, like(a, kind), like(b, kind))


@operator("Clip", static=(1, 2))
def _clip(call: Call, x: Value, low: Value = None, high: Value = None) -> Value:
    (least,) = numbers(low) if low is not None else [call.get("min")]
    (most,) = numbers(high) if high is not None else [call.get("max")]
    if not isinstance(x, Tensor):
        return np.clip(x, least, most)
    if least is None and most is None:
        return x
    if (least, most) == (0.0, 6.0):
        return functional.relu6(x)
    return x.clamp(least, most)


_OF_TENSORS: dict[str, Operator] = {
    "Celu": lambda call, x: functional.celu(x, call.get("alpha", 1.0)),
    "Elu": lambda call, x: functional.elu(x, call.get("alpha", 1.0)),
    "Gelu": lambda call, x: functional.gelu(x, approximate=call.get("approximate", "none")),
    "HardSigmoid": lambda call, x: (x * call.get("alpha", 0.2) + call.get("beta", 0.5)).clamp(
        0.0, 1.0
    ),
    "LeakyRelu": lambda call, x: functional.leaky_relu(x, call.get("alpha", 0.01)),
    "PRelu": lambda call, x, slope: torch.where(x < 0, x * tensor(slope), x),
    "Selu": lambda call, x: (
        call.get("gamma", 1.050701) * functional.elu(x, call.get("alpha", 1.6732632))
    ),
    "Swish": lambda call, x: x * torch.sigmoid(call.get("alpha", 1.0) * x),
}
for _name, _function in _OF_TENSORS.items():
    operator(_name)(_function)


# -- reductions ------------------------------------------------------------------------------

_REDUCTIONS: dict[str, Any] = {
    "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keep),
    "ReduceL2": lambda x, axes, keep: x.square().sum(axes, keep).sqrt(),
    "ReduceLogSumExp": lambda x, axes, keep: x.logsumexp(axes, keep),
    "ReduceMax": lambda x, axes, keep: x.amax(axes, keep),
    "ReduceMean": lambda x, axes, keep: x.mean(axes, keep),
    "ReduceMin": lambda x, axes, keep: x.amin(axes, keep),
    "ReduceSum": lambda x, axes, keep: x.sum(axes, keep),
    "ReduceSumSquare": lambda x, axes, keep: x.square().sum(axes, keep),
}


def _reduced(name: str, call: Call, x: Value, given: Value = None) -> Value:
    if not isinstance(x, Tensor):
        return _reduced(name, call, torch.from_numpy(x), given).numpy()
    axes = axes_of(call, given, x.ndim)
    if not axes and call.get("noop_with_empty_axes", 0):
        return x
    return _REDUCTIONS[name](x, axes or list(range(x.ndim)), bool(call.get("keepdims", 1)))


for _name in _REDUCTIONS:
    operator(_name, static=(1,))(partial(_reduced, _name))


@operator("ReduceProd", static=(0, 1))
def _product(call: Call, x: Value, given: Value = None) -> Value:
    """Of sizes alone."""
    found = reduce(python.mul, numbers(x), 1)
    return np.array([found] if call.get("keepdims", 1) else found)


def _normalised(last: Any, call: Call, x: Tensor) -> Value:
    if call.version >= 13:
        return last(x, call.get("axis", -1))
    axis = call.get("axis", 1) % x.ndim  # over that axis and all later ones
    return last(x.flatten(axis), -1).reshape(x.shape)


operator("Softmax")(partial(_normalised, torch.softmax))
operator("LogSoftmax")(partial(_normalised, torch.log_softmax))
