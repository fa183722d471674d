"""Operators that change shapes, and those that calculate with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codecframe_onnx.network.operators import (
    Call,
    Value,
    axes_of,
    like,
    numbers,
    operator,
    sizes,
)


@operator("Shape")
def _shape(call: Call, x: Value) -> Value:
    shape = sizes(x) if isinstance(x, Tensor) else np.array(x.shape, np.int64)
    return shape[call.get("start", 0) : call.get("end")]


@operator("Size")
def _size(call: Call, x: Value) -> Value:
    return np.array(x.numel() if isinstance(x, Tensor) else x.size)


@operator("Constant")
def _constant(call: Call) -> Value:
    for name, kind in (("int", np.int64), ("float", np.float32)):
        for given in (f"value_{name}", f"value_{name}s"):
            if call.get(given) is not None:
                return np.array(call.get(given), kind)
    return call.get("value")


@operator("ConstantOfShape", static=(0,))
def _constant_of_shape(call: Call, shape: Value) -> Value:
    value = call.get("value")
    value = np.zeros(1, np.float32) if value is None else value
    wanted = numbers(shape)
    if all(isinstance(side, int) for side in wanted):
        return np.full(wanted, value.reshape(-1)[0])
    return torch.full(wanted, value.reshape(-1)[0].item())


@operator("Range", static=(0, 1, 2))
def _range(call: Call, start: Value, limit: Value, delta: Value) -> Value:
    return np.arange(*(numbers(one)[0] for one in (start, limit, delta)))


@operator("Reshape", static=(1,))
def _reshape(call: Call, x: Value, shape: Value) -> Value:
    wanted = numbers(shape)
    if not call.get("allowzero", 0):
        wanted = [x.shape[at] if side == 0 else side for at, side in enumerate(wanted)]
    return x.reshape(wanted)


@operator("Flatten")
def _flatten(call: Call, x: Value) -> Value:
    axis = call.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    if axis == 1 and isinstance(x, Tensor):
        return x.flatten(1)
    first = int(np.prod(x.shape[:axis]))
    return x.reshape(first, -1)


@operator("Transpose")
def _transpose(call: Call, x: Value) -> Value:
    order = call.get("perm") or list(range(x.ndim))[::-1]
    return x.permute(order) if isinstance(x, Tensor) else x.transpose(order)


@operator("Squeeze", static=(1,))
def _squeeze(call: Call, x: Value, given: Value = None) -> Value:
    axes = axes_of(call, given, x.ndim) or [at for at, side in enumerate(x.shape) if side == 1]
    return x.squeeze(tuple(axes))


@operator("Unsqueeze", static=(1,))
def _unsqueeze(call: Call, x: Value, given: Value = None) -> Value:
    wanted = call.get("axes") if given is None else numbers(given)
    axes = axes_of(call, given, x.ndim + len(wanted))
    if not isinstance(x, Tensor):
        return np.expand_dims(x, tuple(axes))
    for axis in sorted(axes):
        x = x.unsqueeze(axis)
    return x


@operator("Concat")
def _concat(call: Call, *values: Value) -> Value:
    tensors = [one for one in values if isinstance(one, Tensor)]
    if tensors:
        return torch.cat([like(one, tensors[0]) for one in values], call.get("axis"))
    return np.concatenate(values, call.get("axis"))


@operator("Split", static=(1,))
def _split(call: Call, x: Value, given: Value = None) -> Value:
    axis = call.get("axis", 0)
    parts = call.get("split") if given is None else numbers(given)
    if parts is None:
        each = -(-x.shape[axis] // call.outputs)
        parts = [each] * (call.outputs - 1) + [x.shape[axis] - each * (call.outputs - 1)]
    if isinstance(x, Tensor):
        return tuple(torch.split(x, parts, axis))
    return tuple(np.split(x, np.cumsum(parts)[:-1], axis))


@operator("Slice", static=(1, 2, 3, 4))
def _slice(
    call: Call,
    x: Value,
    start: Value = None,
    end: Value = None,
    axes: Value = None,
    step: Value = None,
) -> Value:
    begins = call.get("starts") if start is None else numbers(start)
    ends = call.get("ends") if end is None else numbers(end)
    chosen = axes_of(call, axes, x.ndim) or list(range(len(begins)))
    steps = [1] * len(begins) if step is None else numbers(step)
    for axis, first, last, by in zip(chosen, begins, ends, steps, strict=True):
        if by < 0:
            x = _backwards(x, axis, first, last, by)
            continue
        whole = (slice(None),) * axis
        x = x[(*whole, slice(first, None if last >= _FAR else last, by))]
    return x


_FAR = 1 << 30
"""Ends from here on mean the end."""


def _backwards(x: Value, axis: int, first: int, last: int, by: int) -> Value:
    at = np.arange(x.shape[axis])[slice(first, None if last <= -_FAR else last, by)]
    return _gathered(x, at, axis)


def _gathered(x: Value, index: Value, axis: int) -> Value:
    if not isinstance(x, Tensor):
        return np.take(x, index, axis)
    if index.ndim == 0:
        return x.select(axis, index.item())
    rows = torch.from_numpy(np.where(index < 0, index + x.shape[axis], index).reshape(-1))
    found = x.index_select(axis, rows)
    return found.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


@operator("Gather", static=(1,))
def _gather(call: Call, x: Value, index: Value) -> Value:
    axis = call.get("axis", 0) % x.ndim
    if isinstance(index, Tensor):
        raise ValueError("places that depend on the image cannot be followed")
    return _gathered(x, np.asarray(index, np.int64), axis)


@operator("Expand", static=(1,))
def _expand(call: Call, x: Value, shape: Value) -> Value:
    wanted = numbers(shape)
    if not isinstance(x, Tensor):
        if all(isinstance(side, int) for side in wanted):
            return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(wanted)))
        x = torch.from_numpy(x)
    own = [1] * (len(wanted) - x.ndim) + list(x.shape)
    wanted = [1] * (x.ndim - len(wanted)) + wanted
    return x.expand([side if mine == 1 else mine for mine, side in zip(own, wanted, strict=True)])


@operator("Tile", static=(1,))
def _tile(call: Call, x: Value, repeats: Value) -> Value:
    times = numbers(repeats)
    return x.repeat(times) if isinstance(x, Tensor) else np.tile(x, times)


@operator("Pad", static=(1, 2, 3))
def _pad(
    call: Call, x: Value, pads: Value = None, value: Value = None, axes: Value = None
) -> Value:
    amounts = (call.get("pads") or call.get("paddings")) if pads is None else numbers(pads)
    fill = call.get("value", 0.0) if value is None else numbers(value)[0]
    chosen = list(range(x.ndim)) if axes is None else axes_of(call, axes, x.ndim)
    ends: list[Any] = [0] * (2 * x.ndim)
    for number, axis in enumerate(chosen):  # torch begins with the last axis
        at = 2 * (x.ndim - 1 - axis)
        ends[at : at + 2] = amounts[number], amounts[number + len(chosen)]
    mode = call.get("mode", "constant")
    if not isinstance(x, Tensor):
        x = torch.from_numpy(np.asarray(x))
    if mode == "constant":
        return functional.pad(x, ends, value=float(fill))
    while len(ends) > 4 and ends[-2:] == [0, 0]:  # torch repeats edges of maps alone
        del ends[-2:]
    return functional.pad(x, ends, mode={"edge": "replicate", "wrap": "circular"}.get(mode, mode))


@operator("DepthToSpace")
def _depth_to_space(call: Call, x: Tensor) -> Value:
    block = call.get("blocksize")
    if call.get("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(x, block)
    n, channels, height, width = x.shape
    x = x.reshape(n, block, block, channels // block**2, height, width)
    x = x.permute(0, 3, 4, 1, 5, 2)
    return x.reshape(n, channels // block**2, height * block, width * block)


@operator("SpaceToDepth")
def _space_to_depth(call: Call, x: Tensor) -> Value:
    block = call.get("blocksize")
    n, channels, height, width = x.shape
    x = x.reshape(n, channels, height // block, block, width // block, block)
    x = x.permute(0, 3, 5, 1, 2, 4)
    return x.reshape(n, channels * block**2, height // block, width // block)
