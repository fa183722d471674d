"""libwebp's encoder with all of its settings, through the package `webp`."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import codecframe
from codecframe import Image, require

# Fields of `WebPConfig` that release 0.4.0 of `webp` does not declare, and where they are in it
_PLACES = {
    "preprocessing": 17,
    "partition_limit": 19,
    "near_lossless": 23,
    "use_sharp_yuv": 26,
}
_BYTES, _PLACE_OF_QMAX = 116, 28


def encode(image: Image, fields: Mapping[str, Any]) -> bytes:
    """Encode with these fields of `WebPConfig`, and the defaults of the others.

    Raises:
        DependencyError: if the package is not installed.
        PluginError: if the package neither declares a field nor lays them out as 0.4.0 does.
        RuntimeError: if libwebp cannot encode the image.
    """
    webp = require("webp", "codecframe[webp]")
    config = webp.WebPConfig.new()
    declared = {name for name, _ in webp.ffi.typeof("WebPConfig").fields}
    by_place = None if declared.issuperset(fields) else _by_place(webp, config)
    for name, value in fields.items():
        if by_place is None or name in declared:
            setattr(config.ptr, name, value)
        else:
            by_place[_PLACES[name]] = value
    picture = webp.WebPPicture.from_numpy(image)
    try:
        return bytes(picture.encode(config).buffer())
    except (webp.WebPError, TypeError):  # it stumbles over its own error message
        raise RuntimeError(f"error {picture.ptr.error_code} of libwebp") from None


def _by_place(webp: ModuleType, config: Any) -> Any:
    """The configuration as an array of the 4-byte fields that it consists of."""
    fields = webp.ffi.cast("int *", config.ptr)
    if webp.ffi.sizeof("WebPConfig") != _BYTES or not (
        fields[_PLACES["near_lossless"]] == fields[_PLACE_OF_QMAX] == 100
    ):
        raise codecframe.PluginError("webp", "unknown release of the package 'webp'; use 0.4.0")
    return fields
