"""What the models of hubs say of themselves, as `codecframe.Preprocess`.

Only what can be expressed is taken: a resize, a cut from the centre, and a normalisation. Anything
else is an error that names it; a description file then says what is to be done.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import codecframe
from codecframe import Preprocess

_PILLOW = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of methods, by which Hugging Face names them."""


def of_timm(data: Mapping[str, Any]) -> Preprocess:
    """Of timm's data configuration, as `timm.data.resolve_data_config` makes it."""
    _, height, width = data["input_size"]
    mode = data.get("crop_mode", "center")
    if mode not in {"center", "squash"}:
        raise _unknown(f"crop_mode {mode!r}")
    scaled = [math.floor(side / data.get("crop_pct", 1.0)) for side in (height, width)]
    short = mode == "center" and height == width
    return Preprocess(
        resize=scaled[0] if short else (scaled[0], scaled[1]),
        crop=(height, width),
        interpolation=_interpolation(data.get("interpolation", "bicubic")),
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
    )


def of_torchvision(preset: Any) -> Preprocess:
    """Of torchvision's `ImageClassification`, as `weights.transforms()` makes it.

    Args:
        preset: has `resize_size`, `crop_size`, `interpolation`, `mean` and `std`.
    """
    if type(preset).__name__ != "ImageClassification":
        raise _unknown(f"a preset for {type(preset).__name__}")
    return Preprocess(
        resize=_sides(preset.resize_size),
        crop=_sides(preset.crop_size),
        interpolation=_interpolation(getattr(preset.interpolation, "value", preset.interpolation)),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def of_hugging_face(said: Mapping[str, Any]) -> Preprocess:
    """Of a `preprocessor_config.json`."""
    made: dict[str, Any] = {"interpolation": _PILLOW.get(said.get("resample", 2), "other")}
    if made["interpolation"] == "other":
        raise _unknown(f"resample {said['resample']}")
    if said.get("do_resize", True):
        made |= _resized(said)
    if said.get("do_center_crop", False):
        made["crop"] = _box(said.get("crop_size") or said.get("size"))
    if said.get("do_pad", False):
        raise _unknown("do_pad")
    if said.get("do_flip_channel_order", False):
        made["channels"] = "bgr"
    scale = said.get("rescale_factor", 1 / 255) if said.get("do_rescale", True) else 1.0
    offset = 1.0 if said.get("rescale_offset", False) else 0.0
    mean, std = [0.0] * 3, [1.0] * 3
    if said.get("do_normalize", True):
        mean, std = said.get("image_mean") or mean, said.get("image_std") or std
    return Preprocess(
        **made, scale=scale, mean=tuple(value + offset for value in mean), std=tuple(std)
    )


def _resized(said: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `Preprocess` for the resize of a `preprocessor_config.json`."""
    size = said.get("size", 224)
    kind = str(said.get("image_processor_type") or said.get("feature_extractor_type") or "")
    if kind.startswith("ConvNext"):  # it cuts, too, but from small images alone
        side = size["shortest_edge"] if isinstance(size, Mapping) else size
        if side >= 384:
            return {"resize": (side, side)}
        return {"resize": int(side / said.get("crop_pct", 224 / 256)), "crop": (side, side)}
    if isinstance(size, Mapping) and "longest_edge" not in size and "shortest_edge" in size:
        return {"resize": int(size["shortest_edge"])}
    if isinstance(size, int) and said.get("do_center_crop", False):
        return {"resize": size}
    return {"resize": _box(size)}


def _box(size: Any) -> tuple[int, int]:
    """(height, width) of a size as Hugging Face writes it."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    if isinstance(size, Mapping) and "shortest_edge" in size and "longest_edge" not in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    raise _unknown(f"size {size!r}")


def labels_of_hugging_face(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the classes, of a `config.json`; none where they only have numbers."""
    names = {int(number): str(name) for number, name in (config.get("id2label") or {}).items()}
    listed = [names.get(number, str(number)) for number in range(len(names))]
    if all(name == f"LABEL_{number}" for number, name in enumerate(listed)):
        return ()
    return tuple(listed)


def _sides(sides: Sequence[int] | int) -> Any:
    if isinstance(sides, int) or len(sides) == 1:
        return int(sides if isinstance(sides, int) else sides[0])
    return tuple(int(side) for side in sides)


def _interpolation(name: str) -> str:
    method = str(name).rpartition(".")[2].lower()
    if method not in _PILLOW.values():
        raise _unknown(f"interpolation {name!r}")
    return method


def _unknown(what: str) -> codecframe.MismatchError:
    return codecframe.MismatchError(
        f"the model's configuration asks for {what}, which `preprocess` cannot say: describe the "
        "head in a file, with the preprocessing that comes closest"
    )
