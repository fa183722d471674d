"""Operators with weights, pooling, normalisation and resizing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from codecframe_onnx.network.operators import Call, Operator, Value, like, numbers, operator, tensor

_CONVOLUTIONS: dict[int, Any] = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}
_TRANSPOSED: dict[int, Any] = {
    3: functional.conv_transpose1d,
    4: functional.conv_transpose2d,
    5: functional.conv_transpose3d,
}


_most: Any = torch.sym_max


def _padding(call: Call, x: Tensor, kernel: list[int]) -> tuple[list[Any], list[Any]]:
    """Pixels that are added (before, after) each axis of maps."""
    axes = len(kernel)
    auto = call.get("auto_pad", "NOTSET")
    if auto in {"SAME_UPPER", "SAME_LOWER"}:
        strides = call.get("strides") or [1] * axes
        steps = call.get("dilations") or [1] * axes
        total = [
            _most((-(-side // by) - 1) * by + step * (taps - 1) + 1 - side, 0)
            for side, taps, by, step in zip(x.shape[2:], kernel, strides, steps, strict=True)
        ]
        less = [pad // 2 for pad in total]
        more = [pad - half for pad, half in zip(total, less, strict=True)]
        return (less, more) if auto == "SAME_UPPER" else (more, less)
    pads = (auto != "VALID" and call.get("pads")) or [0] * (2 * axes)
    return list(pads[:axes]), list(pads[axes:])


def _padded(x: Tensor, before: list[Any], after: list[Any], value: float = 0.0) -> Tensor:
    ends = [end for pair in zip(reversed(before), reversed(after), strict=True) for end in pair]
    return functional.pad(x, ends, value=value)


@operator("Conv")
def _conv(call: Call, x: Tensor, weight: Value, bias: Value = None) -> Value:
    weight = like(weight, x)
    before, after = _padding(call, x, list(weight.shape[2:]))
    if before != after:
        x, before = _padded(x, before, after), [0] * len(before)
    return _CONVOLUTIONS[x.ndim](
        x,
        weight,
        None if bias is None else like(bias, x),
        tuple(call.get("strides") or [1] * len(before)),
        tuple(before),
        tuple(call.get("dilations") or [1] * len(before)),
        call.get("group", 1),
    )


@operator("ConvTranspose")
def _conv_transpose(call: Call, x: Tensor, weight: Value, bias: Value = None) -> Value:
    weight = like(weight, x)
    axes = weight.ndim - 2
    pads = call.get("pads") or [0] * (2 * axes)
    if call.get("output_shape") or call.get("auto_pad", "NOTSET") != "NOTSET":
        raise ValueError("a ConvTranspose of a given output shape is not known")
    if pads[:axes] != pads[axes:]:
        raise ValueError("a ConvTranspose with unequal pads is not known")
    return _TRANSPOSED[x.ndim](
        x,
        weight,
        None if bias is None else like(bias, x),
        tuple(call.get("strides") or [1] * axes),
        tuple(pads[:axes]),
        tuple(call.get("output_padding") or [0] * axes),
        call.get("group", 1),
        tuple(call.get("dilations") or [1] * axes),
    )


@operator("Gemm")
def _gemm(call: Call, a: Value, b: Value, c: Value = None) -> Value:
    alpha, beta = call.get("alpha", 1.0), call.get("beta", 1.0)
    left, right = tensor(a), tensor(b)
    left = left.T if call.get("transA", 0) else left
    right = right if call.get("transB", 0) else right.T
    plain = alpha == beta == 1.0 and isinstance(c, Tensor) and c.ndim == 1
    if plain and c.shape[0] == right.shape[0]:
        return functional.linear(left, right, c)
    found = functional.linear(left, right) * alpha
    return found if c is None else found + beta * tensor(c)


# -- pooling ----------------------------------------------------------------------------------


@operator("MaxPool")
def _max_pool(call: Call, x: Tensor) -> Value:
    kernel = list(call.get("kernel_shape"))
    before, after = _padding(call, x, kernel)
    if before != after or any(pad > taps // 2 for pad, taps in zip(before, kernel, strict=True)):
        x, before = _padded(x, before, after, -torch.inf), [0] * len(kernel)
    pool: Any = functional.max_pool1d if x.ndim == 3 else functional.max_pool2d
    strides = call.get("strides") or [1] * len(kernel)
    steps = call.get("dilations") or [1] * len(kernel)
    return pool(x, kernel, strides, before, steps, bool(call.get("ceil_mode", 0)))


@operator("AveragePool")
def _average_pool(call: Call, x: Tensor) -> Value:
    kernel = list(call.get("kernel_shape"))
    before, after = _padding(call, x, kernel)
    counts_pads = bool(call.get("count_include_pad", 0))
    pool: Any = functional.avg_pool1d if x.ndim == 3 else functional.avg_pool2d
    strides = call.get("strides") or [1] * len(kernel)
    ceil = bool(call.get("ceil_mode", 0))
    if before == after and all(pad <= taps // 2 for pad, taps in zip(before, kernel, strict=True)):
        return pool(x, kernel, strides, before, ceil, counts_pads)
    found = pool(_padded(x, before, after), kernel, strides, 0, ceil)
    if counts_pads:
        return found
    share = pool(_padded(torch.ones_like(x[:1, :1]), before, after), kernel, strides, 0, ceil)
    return found / share


# -- normalisation ----------------------------------------------------------------------------


@operator("BatchNormalization")
def _batch_norm(
    call: Call, x: Tensor, scale: Value, bias: Value, mean: Value, variance: Value
) -> Value:
    if call.get("training_mode", 0):
        raise ValueError("a BatchNormalization in training mode is not known")
    still = like(mean, x), like(variance, x)
    return functional.batch_norm(
        x, *still, like(scale, x), like(bias, x), eps=call.get("epsilon", 1e-5)
    )


@operator("LayerNormalization")
def _layer_norm(call: Call, x: Tensor, scale: Value, bias: Value = None) -> Value:
    axis = call.get("axis", -1) % x.ndim
    shape = [int(side) for side in x.shape[axis:]]
    shift = None if bias is None else like(bias, x)
    found = functional.layer_norm(x, shape, like(scale, x), shift, call.get("epsilon", 1e-5))
    return (found, *[None] * (call.outputs - 1)) if call.outputs > 1 else found


@operator("GroupNormalization")
def _group_norm(call: Call, x: Tensor, scale: Value, bias: Value) -> Value:
    groups = call.get("num_groups")
    found = functional.group_norm(x, groups, eps=call.get("epsilon", 1e-5))
    ends = (1,) * (x.ndim - 2)
    factors = [like(one, x) for one in (scale, bias)]
    if call.version < 21:  # one number a group
        factors = [one.repeat_interleave(x.shape[1] // groups) for one in factors]
    factor, shift = (one.reshape(-1, *ends) for one in factors)
    return found * factor + shift


# -- resizing ---------------------------------------------------------------------------------


@operator("Resize", "Upsample", static=(1, 2, 3))
def _resize(
    call: Call, x: Tensor, first: Value = None, scales: Value = None, wanted: Value = None
) -> Value:
    """torch's `interpolate`, where it does the same."""
    if call.version < 11:
        first, scales = None, first  # the second input was that of the scales
    factors = call.get("scales") if scales is None or not scales.size else numbers(scales)
    sides = None if wanted is None or not wanted.size else numbers(wanted)
    axes = [axis % x.ndim for axis in call.get("axes") or range(x.ndim)]
    mode = call.get("mode", "nearest")
    default = "half_pixel" if call.version >= 11 else "asymmetric"
    place = call.get("coordinate_transformation_mode", default)
    rounding = call.get("nearest_mode", "round_prefer_floor" if call.version >= 11 else "floor")
    known: dict[tuple[str, str], tuple[str, bool | None]] = {
        ("nearest", "asymmetric"): ("nearest", None),
        ("nearest", "half_pixel"): ("nearest-exact", None),
        ("linear", "half_pixel"): ("bilinear", False),
        ("linear", "pytorch_half_pixel"): ("bilinear", False),
        ("linear", "align_corners"): ("bilinear", True),
        ("cubic", "half_pixel"): ("bicubic", False),
        ("cubic", "pytorch_half_pixel"): ("bicubic", False),
        ("cubic", "align_corners"): ("bicubic", True),
    }
    is_floor = rounding == "floor" or place != "asymmetric"
    if (mode, place) not in known or not is_floor or call.get("antialias", 0):
        raise ValueError(f"a Resize of mode {mode}, {place}, {rounding} is not known")
    how, corners = known[mode, place]
    size = factor = None
    if sides is not None:
        size = [dict(zip(axes, sides, strict=True)).get(at, x.shape[at]) for at in (2, 3)]
    else:
        factor = [float(dict(zip(axes, factors, strict=True)).get(at, 1.0)) for at in (2, 3)]
    return functional.interpolate(x, size, factor, how, align_corners=corners)


# -- what torch does just so ------------------------------------------------------------------

_OTHERS: dict[str, Operator] = {
    "Einsum": lambda call, *values: torch.einsum(call.get("equation"), *map(tensor, values)),
    "GlobalAveragePool": lambda call, x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
    "GlobalMaxPool": lambda call, x: x.amax(tuple(range(2, x.ndim)), keepdim=True),
    "InstanceNormalization": lambda call, x, scale, bias: functional.instance_norm(
        x, weight=like(scale, x), bias=like(bias, x), eps=call.get("epsilon", 1e-5)
    ),
    "LRN": lambda call, x: functional.local_response_norm(
        x, call.get("size"), call.get("alpha", 1e-4), call.get("beta", 0.75), call.get("bias", 1.0)
    ),
    "LpNormalization": lambda call, x: functional.normalize(
        x, float(call.get("p", 2)), call.get("axis", -1)
    ),
    "MatMul": lambda call, a, b: torch.matmul(tensor(a), tensor(b)),
}
for _name, _function in _OTHERS.items():
    operator(_name)(_function)
