"""Reading one image file of any kind into `uint8` RGB, by fixed rules.

Read is what Pillow reads (but for formats that take another program, such as EPS and HDF5), and
what an installed codec decodes. Then:

* Of an animation or a multi-page file the first picture is taken.
* The EXIF orientation is applied.
* Colours with an embedded ICC profile are converted to sRGB; a damaged profile is ignored.
* Transparency is laid over white.
* Palettes are looked up; greyscale is repeated; CMYK and others are converted as Pillow does.
* 16-bit greyscale is scaled by 255/65535 and rounded (16-bit colour keeps its high bytes);
  floating point counts from 0 to 1.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import CodecframeError, DataError, DependencyError, LimitError
from codecframe.core.image import Image, check_size, max_pixels

if TYPE_CHECKING:
    from PIL import Image as PilImage

_NOT_READ = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Pillow formats that run another program, or are only told apart."""

_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")

_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What undoes each EXIF orientation but the first."""


def read_image(source: str | Path | bytes | BinaryIO, name: str | None = None) -> Image:
    """Read an image.

    Args:
        source: a path, a file's bytes, or a file open for reading bytes.
        name: what to call it in errors; by default the path.

    Returns:
        `uint8`, (height, width, 3), RGB.

    Raises:
        DataError: if it cannot be read or is no image.
        LimitError: if it is larger than the pixel limit; decided before it is decoded.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), name or "image")
    if not isinstance(source, (str, Path)):
        return _read(source if source.seekable() else io.BytesIO(source.read()), name or "image")
    name = name or str(source)
    try:
        with open(source, "rb") as file:
            return _read(file, name)
    except OSError as error:
        raise DataError(name, error.strerror or error) from None


def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes of the files in a folder that count as images."""
    from PIL import Image as PilImage

    formats = _formats()
    registered = PilImage.registered_extensions().items()
    codecs = registry.default().codecs.values()
    return frozenset(
        {s for s, kind in registered if kind in formats} | {c.extension for c in codecs}
    )


@cache
def _formats() -> tuple[str, ...]:
    """The Pillow formats that are read."""
    from PIL import Image as PilImage

    PilImage.init()
    return tuple(kind for kind in PilImage.ID if kind in PilImage.OPEN and kind not in _NOT_READ)


def _read(file: BinaryIO, name: str) -> Image:
    from PIL import Image as PilImage
    from PIL import UnidentifiedImageError

    try:
        with _own_limit(), PilImage.open(file, formats=_formats()) as picture:
            check_size(picture.height, picture.width, name)
            picture.load()
            return _to_rgb(picture, name)
    except CodecframeError:
        raise
    except PilImage.DecompressionBombError:
        raise LimitError(
            f"{name}: is over the limit of {max_pixels():,} pixels; "
            "raise it with CODECFRAME_MAX_PIXELS or codecframe.limit_pixels()"
        ) from None
    except UnidentifiedImageError:
        return _read_with_codec(file, name)
    except Exception as error:  # Pillow's plugins raise many kinds for damaged files
        raise DataError(name, f"cannot be read: {error}") from None


@contextlib.contextmanager
def _own_limit() -> Iterator[None]:
    """Let the pixel limit be ours: Pillow warns of nothing, and its own limit is never lower."""
    import warnings

    from PIL import Image as PilImage

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if PilImage.MAX_IMAGE_PIXELS and max_pixels() > 2 * PilImage.MAX_IMAGE_PIXELS:
            PilImage.MAX_IMAGE_PIXELS = max_pixels()  # the user raised it
        yield


def _read_with_codec(file: BinaryIO, name: str) -> Image:
    """Decode with an installed codec: those of the name's suffix, of all if it has none."""
    suffix = Path(name).suffix.lower()
    codecs: list[Codec[Any]] = list(registry.default().codecs.values())
    reason = "is no image that can be read"
    for codec in codecs:
        if suffix and codec.extension != suffix:
            continue
        try:
            for package, install in codec.requires.items():
                registry.require(package, install)
            file.seek(0)
            return codec.decode(file.read())
        except (DataError, DependencyError) as error:
            if suffix:
                reason = str(error)
        except OSError as error:
            reason = error.strerror or str(error)
    raise DataError(name, reason)


def _to_rgb(picture: PilImage.Image, name: str) -> Image:
    """The loaded picture by the rules above."""
    turn = _turn(picture)
    deep = picture.mode in _DEEP
    picture = _eight_bit(np.asarray(picture), name) if deep else _to_srgb(picture)
    if picture.has_transparency_data:
        picture = _over_white(picture)
    picture = picture.convert("RGB")
    return np.array(picture if turn is None else picture.transpose(turn))


def _turn(picture: PilImage.Image) -> PilImage.Transpose | None:
    """What brings the picture upright; damaged EXIF data says nothing."""
    from PIL import Image as PilImage

    try:
        orientation = picture.getexif().get(0x0112)
    except Exception:  # EXIF is read by Python code that trusts it
        return None
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return None if turn is None else PilImage.Transpose[turn]


def _eight_bit(samples: npt.NDArray[Any], name: str) -> PilImage.Image:
    """Deep greyscale as 8-bit greyscale."""
    from PIL import Image as PilImage

    top = 65535.0
    if samples.dtype.kind == "f":
        top = 1.0
        if not (np.isfinite(samples).all() and samples.max() <= 1):
            raise DataError(name, "has floating-point samples that do not lie between 0 and 1")
    scaled = np.multiply(samples, 255 / top, dtype=np.float32)
    return PilImage.fromarray(scaled.round().clip(0, 255).astype(np.uint8))


def _over_white(picture: PilImage.Image) -> PilImage.Image:
    from PIL import Image as PilImage

    layer = picture.convert("RGBA")
    return PilImage.alpha_composite(PilImage.new("RGBA", layer.size, "white"), layer)


def _to_srgb(picture: PilImage.Image) -> PilImage.Image:
    """The picture in sRGB, where it has a profile that says something else."""
    profile = picture.info.get("icc_profile")
    if not isinstance(profile, bytes) or picture.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return picture
    transform = _transform(profile, picture.mode)
    return picture if transform is None else transform.apply(picture)


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> Any:
    """Pillow's colour transform from a profile to sRGB; None where there is nothing to do."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, mode, "RGBA" if mode == "RGBA" else "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None  # a damaged profile is ignored, as browsers do
