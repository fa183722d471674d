"""JPEG for codecframe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import codecframe

if TYPE_CHECKING:
    from codecframe_jpeg.differentiable import DifferentiableJpeg
else:  # needs torch
    import lazy_loader

    __getattr__ = lazy_loader.attach(
        __name__, submod_attrs={"differentiable": ["DifferentiableJpeg"]}
    )[0]

__all__ = ["DifferentiableJpeg", "codecframe_codecs"]


@codecframe.hookimpl
def codecframe_codecs() -> list[codecframe.Codec[Any]]:
    """Bring the codec `jpeg`."""
    from codecframe_jpeg.codec import JpegCodec

    return [JpegCodec()]
