"""Colours with an ICC profile, brought to sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL import Image as PilImage

_SAME = 2
"""Levels by which a profile may differ from sRGB and is taken for it."""


def to_srgb(picture: PilImage.Image, profile: object) -> PilImage.Image:
    """The colours of a profile in sRGB; other images, and those with a damaged profile, unchanged.

    Args:
        picture: of mode L, RGB or CMYK.
        profile: the bytes of its ICC profile, or what stands in their place.
    """
    if not isinstance(profile, bytes) or not profile:
        return picture
    mode = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}.get(profile[16:20])
    if mode == "RGB" and picture.mode == "L":
        picture = picture.convert("RGB")
    if mode != picture.mode:
        return picture  # a profile of other colours than the image has
    transform = _transform(profile, mode)
    return picture if transform is None else transform.apply(picture)


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> Any:
    """Pillow's transform from a profile to sRGB; None where there is nothing to do."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        if mode != "CMYK":
            exact = ImageCms.Intent.RELATIVE_COLORIMETRIC
            if _changes_nothing(ImageCms.buildTransform(source, target, mode, "RGB", exact), mode):
                return None
        return ImageCms.buildTransform(source, target, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None  # a damaged profile is ignored, as browsers do


def _changes_nothing(transform: Any, mode: str) -> bool:
    """Whether a transform leaves colours as they are. A name says nothing: "Linear sRGB" is not."""
    from PIL import Image as PilImage

    levels = np.arange(0, 256, 15).astype(np.uint8)
    if mode == "L":
        probe = PilImage.fromarray(levels[None])
    else:
        colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
        probe = PilImage.fromarray(colours.reshape(len(levels), -1, 3))
    before = np.asarray(probe.convert("RGB"), np.int16)
    after = np.asarray(transform.apply(probe), np.int16)
    return bool(np.abs(after - before).max() <= _SAME)
