"""JPEG for codecframe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import codecframe

if TYPE_CHECKING:
    from codecframe_jpeg.differentiable import DifferentiableJpeg

__all__ = ["DifferentiableJpeg", "codecframe_codecs"]


@codecframe.hookimpl
def codecframe_codecs() -> list[codecframe.Codec[Any]]:
    """Bring the codec `jpeg`."""
    from codecframe_jpeg.codec import JpegCodec

    return [JpegCodec()]


def __getattr__(name: str) -> Any:
    if name == "DifferentiableJpeg":  # needs torch
        from codecframe_jpeg.differentiable import DifferentiableJpeg

        return DifferentiableJpeg
    raise AttributeError(f"module 'codecframe_jpeg' has no attribute {name!r}")
