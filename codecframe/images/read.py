"""Reading one image of any kind that Pillow knows into `uint8` RGB, by fixed rules.

* The EXIF orientation is applied.
* Greyscale is repeated to three channels; palettes are looked up; CMYK and YCbCr are converted.
* Transparency is laid over white.
* 16-bit greyscale is scaled by 255/65535, floating point by its own range; rounded.
* Of an animation, the first frame.
* An embedded ICC profile other than sRGB is converted to sRGB where Pillow can.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from codecframe.errors import CodecframeError, DataError, LimitError
from codecframe.image import Image, check_size, max_pixels


def read_image(source: str | Path | bytes, name: str | None = None) -> Image:
    """Read an image file.

    Args:
        source: a path, or the file's bytes.
        name: what to call it in errors; the path by default.

    Returns:
        `uint8`, (height, width, 3), RGB.

    Raises:
        DataError: if it cannot be read or is no image.
        LimitError: if it is larger than the pixel limit; decided before it is decoded.
    """
    name = name or (str(source) if not isinstance(source, bytes) else "image")
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise DataError(name, error.strerror or error) from None
    if data[:2] == b"\xff\x0a" or data[4:12] == b"JXL \r\n\x87\n":
        from codecframe.registry import default

        return default().codec("jpegxl").decode(data)
    return _read_with_pillow(data, name)


def _read_with_pillow(data: bytes, name: str) -> Image:
    import warnings

    from PIL import Image as PilImage
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # the limit that counts is ours, checked right below
            warnings.simplefilter("ignore", PilImage.DecompressionBombWarning)
            if PilImage.MAX_IMAGE_PIXELS and max_pixels() > 2 * PilImage.MAX_IMAGE_PIXELS:
                PilImage.MAX_IMAGE_PIXELS = max_pixels()  # the user raised it
            with PilImage.open(io.BytesIO(data)) as opened:
                check_size(opened.height, opened.width, name)
                upright = ImageOps.exif_transpose(opened)
                return _to_rgb(upright)
    except CodecframeError:
        raise
    except PilImage.DecompressionBombError:
        raise LimitError(
            f"{name}: is over the limit of {max_pixels():,} pixels; "
            "raise it with CODECFRAME_MAX_PIXELS or codecframe.limit_pixels()"
        ) from None
    except UnidentifiedImageError:
        raise DataError(name, "is no image that can be read") from None
    except Exception as error:  # Pillow's plugins raise many kinds for damaged files
        raise DataError(name, f"cannot be read: {error}") from None


def _to_rgb(picture: Any) -> Image:
    if picture.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        return _deep_grey(np.asarray(picture))
    picture = _to_srgb(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        from PIL import Image as PilImage

        layered = picture.convert("RGBA")
        white = PilImage.new("RGBA", layered.size, (255, 255, 255, 255))
        picture = PilImage.alpha_composite(white, layered)
    return np.ascontiguousarray(np.asarray(picture.convert("RGB"), dtype=np.uint8))


def _deep_grey(samples: Any) -> Image:
    values = samples.astype(np.float64)
    top = 65535.0
    if samples.dtype.kind == "f":
        top = float(np.nanmax(values, initial=0.0)) or 1.0
    grey = np.nan_to_num(values * (255.0 / top)).round().clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))


def _to_srgb(picture: Any) -> Any:
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return picture
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return picture
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return picture  # a damaged profile is ignored, as browsers do
