"""libwebp's encoder with all of its settings, through the package `webp`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import codecframe
from codecframe import Image, require

# `webp` declares the first 16 fields of `WebPConfig`, which is all 4-byte fields; these are later
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
        PluginError: if the package is of a release that this module does not know.
        RuntimeError: if libwebp cannot encode the image.
    """
    webp = require("webp", "codecframe[webp]")
    config = webp.WebPConfig.new()
    by_place = webp.ffi.cast("int *", config.ptr)
    if webp.ffi.sizeof("WebPConfig") != _BYTES or not (
        by_place[_PLACES["near_lossless"]] == by_place[_PLACE_OF_QMAX] == 100
    ):
        raise codecframe.PluginError("webp", "unknown release of the package 'webp'; use 0.4.0")
    for name, value in fields.items():
        if name in _PLACES:
            by_place[_PLACES[name]] = value
        else:
            setattr(config.ptr, name, value)
    picture = webp.WebPPicture.from_numpy(image)
    try:
        return bytes(picture.encode(config).buffer())
    except (webp.WebPError, TypeError):  # it stumbles over its own error message
        raise RuntimeError(f"error {picture.ptr.error_code} of libwebp") from None
