"""Reading an image of any kind into `uint8` RGB, by fixed rules: files, request payloads, Pillow
images and arrays.

It reads what Pillow reads (except formats that need another program, such as EPS and HDF5) and what
an installed codec decodes. The format is told by content, not by name. Then:

* Of an animation or a multi-page file the first picture is taken.
* The EXIF orientation is applied.
* Colours with an embedded ICC profile are converted to sRGB; a damaged profile is ignored.
* Transparency is laid over white; BMP and TGA files whose alpha is 0 everywhere have none.
* Palettes are looked up; greyscale is repeated; CMYK and others are converted as Pillow does.
* Deep greyscale is scaled from its range to 0 to 255 and rounded (16-bit colour keeps its high
  bytes); floating point counts from 0 to 1; signed samples below 0 are refused.
* Files that are not known to be read correctly are refused, and so are files that need time or
  memory out of proportion to their pixels.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from codecframe.core import registry
from codecframe.core.errors import CodecframeError, DataError, LimitError
from codecframe.core.files import open_regular
from codecframe.core.image import Image, check_image, max_pixels
from codecframe.images.bycodec import decode_as
from codecframe.images.kinds import HEAD, OTHER_SUFFIXES
from codecframe.images.picture import from_picture
from codecframe.images.source import check_length, read_bounded

if TYPE_CHECKING:
    from PIL import Image as PilImage

_NOT_READ = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"} | {"BLP", "FPX", "ICNS", "IPTC", "MIC"}
"""Pillow formats that run another program or are only told apart; those that hold files of other
formats, which would be decoded without a look at what they ask for."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


ImageSource: TypeAlias = "str | Path | bytes | BinaryIO | PilImage.Image | npt.NDArray[np.uint8]"
"""What `read_image` reads."""


def read_image(source: ImageSource, name: str | None = None) -> Image:
    """Read an image from a file, bytes, Pillow or an array.

    Args:
        source: a path, a file's bytes, a file open for reading bytes, a Pillow image (loaded
            or not), or an array that is an image already.
        name: what to call it in errors; by default the path.

    Returns:
        `uint8`, (height, width, 3), RGB.

    Raises:
        DataError: if it cannot be read or is not an image; of paths, if it is not a regular file;
            of arrays, if it is not `uint8` of shape (height, width, 3).
        LimitError: if it is larger than the pixel limit, or asks for more than its pixels account
            for; decided before it is decoded.

    Examples:
        >>> image = cf.read_image("photo.png")
        >>> image.shape, image.dtype
        ((48, 64, 3), dtype('uint8'))
        >>> np.array_equal(cf.read_image(Path("photo.png").read_bytes()), image)
        True
    """
    if isinstance(source, (str, Path)):
        with open_regular(source) as file:
            return _read(file, name or str(source))
    name = name or "image"
    if isinstance(source, np.ndarray):
        return check_image(source, name)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read(io.BytesIO(source), name)
    from PIL import Image as PilImage

    if isinstance(source, PilImage.Image):
        with _own_limit():
            return from_picture(source, name)
    if not hasattr(source, "seekable"):
        raise DataError(name, f"a {type(source).__name__} is not an image")
    return _read(source if source.seekable() else io.BytesIO(read_bounded(source, name)), name)


def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes of the files in a folder that count as images."""
    from PIL import Image as PilImage

    formats = _formats()
    registered = PilImage.registered_extensions().items()
    codecs = registry.default().codecs.values()
    found = {s for s, kind in registered if kind in formats} | {c.extension for c in codecs}
    return frozenset(found | {other for other, usual in OTHER_SUFFIXES.items() if usual in found})


@cache
def _formats() -> tuple[str, ...]:
    """The Pillow formats that are read."""
    from PIL import Image as PilImage

    PilImage.init()
    return tuple(kind for kind in PilImage.ID if kind in PilImage.OPEN and kind not in _NOT_READ)


def _read(file: BinaryIO, name: str) -> Image:
    from PIL import Image as PilImage
    from PIL import UnidentifiedImageError

    head = file.read(HEAD)
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    if head[:4] not in _TIFF:  # of these, only the first page is read
        check_length(length, name)
    try:
        with _own_limit(), PilImage.open(file, formats=_formats()) as picture:
            return from_picture(picture, name)
    except CodecframeError:
        raise
    except PilImage.DecompressionBombError:
        raise LimitError(
            f"{name}: is over the limit of {max_pixels():,} pixels; "
            "raise it with CODECFRAME_MAX_PIXELS or codecframe.limit_pixels()"
        ) from None
    except UnidentifiedImageError:
        file.seek(0)
        return decode_as(Path(name).suffix, read_bounded(file, name), name)
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
