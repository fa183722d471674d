"""Pillow images as `uint8` RGB, by the rules of `read`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from codecframe.core import bounds, isobmff
from codecframe.core.colour import cicp_profile
from codecframe.core.errors import CodecframeError, DataError
from codecframe.core.image import Image, check_size
from codecframe.images import tiff
from codecframe.images.bycodec import decode_as
from codecframe.images.colour import to_srgb
from codecframe.images.source import read_bounded

if TYPE_CHECKING:
    from PIL import Image as PilImage
    from PIL.ImageFile import ImageFile

_SIXTEEN_BITS = ("PNG", "PPM", "JPEG2000", None)
"""Formats whose deep greyscale Pillow brings to 16 bits; images that are of no format, too."""
_KEY_STEPS = {"L;2": 85, "L;4": 17}
"""How Pillow scales the grey levels of a PNG, but not its key colour."""
_OFTEN_WITHOUT_ALPHA = ("BMP", "DIB", "TGA")
"""Formats whose fourth channel often says nothing: then it is 0 everywhere."""

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


def from_picture(picture: PilImage.Image, name: str) -> Image:
    """The image of a picture that Pillow opened or made; one that is not loaded yet is, here.

    Raises:
        DataError: if it cannot be read, or is of a kind that is not known to come out right.
        LimitError: if it asks for more pixels, scans or tiles than are allowed.
    """
    check_size(picture.height, picture.width, name)
    try:
        _check_demands(picture, name)
        flat = _flattened(_with_8_bits(picture, name))
        turn = _turn(picture)  # only now: Pillow turns a TIFF itself, when it loads it
    except CodecframeError:
        raise
    except Exception as error:  # Pillow's plugins raise many kinds for damaged files
        raise DataError(name, f"cannot be read: {error}") from None
    return np.array(flat if turn is None else flat.transpose(turn))


def _check_demands(picture: PilImage.Image, name: str) -> None:
    """Refuse what would take a decoder time or memory out of proportion."""
    if picture.format in ("JPEG", "MPO") and _is_open(picture):
        bounds.check_scans(_whole(picture, name), name)
    elif picture.format == "JPEG2000" and _is_open(picture):
        bounds.check_tiles(_whole(picture, name), name)


def _is_open(picture: PilImage.Image) -> bool:
    """Whether the picture's file is there, and still to be decoded."""
    return getattr(picture, "fp", None) is not None and bool(getattr(picture, "tile", None))


def _whole(picture: PilImage.Image, name: str) -> bytes:
    """All bytes of a picture's file, which stays where it is."""
    file = cast("BinaryIO", cast("ImageFile", picture).fp)
    position = file.tell()
    file.seek(0)
    try:
        return read_bounded(file, name)
    finally:
        file.seek(position)


def _turn(picture: PilImage.Image) -> PilImage.Transpose | None:
    """What brings the picture upright; damaged EXIF data says nothing."""
    from PIL import Image as PilImage

    try:
        orientation = picture.getexif().get(0x0112)
    except Exception:  # EXIF is read by Python code that trusts it
        return None
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return None if turn is None else PilImage.Transpose[turn]


# -- to 8 bits ----------------------------------------------------------------------------


def _with_8_bits(picture: PilImage.Image, name: str) -> PilImage.Image:
    """The picture loaded, with at most 8 bits a sample."""
    kind = tiff.kind_of(picture)
    if kind is not None:
        picture = _from_tiff(picture, kind, name)
    elif picture.format == "PNG" and "transparency" in picture.info:
        picture = _with_key_colour(picture, name)
    elif picture.format == "TGA":
        picture = _without_undeclared_alpha(picture)
    elif picture.format in {"AVIF", "HEIF"} and "icc_profile" not in picture.info:
        picture = _with_numbered_colours(picture, name)
    picture.load()
    return _from_deep_grey(picture, kind) if picture.mode in tiff.DEEP else picture


def _from_tiff(picture: PilImage.Image, kind: tiff.Kind, name: str) -> PilImage.Image:
    """A TIFF as Pillow loads it, but for what Pillow does not do, or not right."""
    if _is_open(picture):
        tiff.check_tiles(picture)
        if tiff.needs_decoding(picture, kind):
            samples = tiff.decode(_whole(picture, name), picture, kind)
            if kind.deep:
                return _made(tiff.to_rgb(samples, kind), picture)
            decoded = tiff.as_picture(samples, picture, kind)
            if decoded is not None:
                return decoded
    elif kind.deep and picture.mode not in tiff.DEEP and not kind.high_bytes_do:
        raise ValueError("Pillow has loaded a deep TIFF wrongly: read it from its file")
    picture.load()
    palette = tiff.mended_palette(picture)
    if palette is not None:
        picture = picture.copy()
        picture.putpalette(palette)
    return picture


def _with_key_colour(picture: PilImage.Image, name: str) -> PilImage.Image:
    """A PNG with a key colour that Pillow does not find among the pixels."""
    from PIL import Image as PilImage

    if not _is_open(picture):
        return picture
    raw_mode = cast("ImageFile", picture).tile[0][3]
    key = picture.info["transparency"]
    if raw_mode == "RGB;16B":
        return _made(decode_as(".png", _whole(picture, name), name), picture)
    if raw_mode in _KEY_STEPS and isinstance(key, int):
        picture.load()
        made = PilImage.fromarray(np.asarray(picture))
        made.info = {**picture.info, "transparency": key * _KEY_STEPS[raw_mode]}
        return made
    return picture


def _without_undeclared_alpha(picture: PilImage.Image) -> PilImage.Image:
    """A TGA without the fourth channel, where its header declares no bits of alpha."""
    if not _is_open(picture) or picture.mode not in ("RGBA", "LA"):
        return picture
    if _whole(picture, "TGA")[17] & 15:
        return picture
    return _made(np.asarray(picture)[:, :, : -1 if picture.mode == "RGBA" else 1], picture)


def _with_numbered_colours(picture: PilImage.Image, name: str) -> PilImage.Image:
    """An AVIF or HEIC with the profile that it has as numbers, which Pillow does not look at."""
    numbers = None
    if said := picture.info.get("nclx_profile"):  # of pillow-heif, which closes the file
        numbers = said["color_primaries"], said["transfer_characteristics"]
    elif _is_open(picture):
        data = _whole(picture, name)
        numbers = isobmff.colour_numbers(data, isobmff.image_properties(data))
    profile = None if numbers is None else cicp_profile(*numbers)
    if profile is None:
        return picture
    picture.load()
    made = picture.copy()
    made.info["icc_profile"] = profile
    return made


def _from_deep_grey(picture: PilImage.Image, kind: tiff.Kind | None) -> PilImage.Image:
    """Deep greyscale as 8-bit greyscale; a key colour becomes white."""
    samples: npt.NDArray[Any] = np.asarray(picture)
    if kind is None:
        if samples.dtype.kind != "f" and picture.format not in _SIXTEEN_BITS:
            raise ValueError(f"has deep samples of an unknown range ({picture.mode})")
        kind = tiff.GREY_16
    if samples.dtype == np.int32 and kind.sample_format == 1:
        samples = samples.view(np.uint32)
    levels = tiff.to_rgb(samples, kind)
    key = picture.info.get("transparency")
    if isinstance(key, int):
        levels[samples == key] = 255
    return _made(levels, picture)


def _made(levels: npt.NDArray[np.uint8], like: PilImage.Image) -> PilImage.Image:
    """8-bit levels as a picture with the colour profile of another one."""
    from PIL import Image as PilImage

    made = PilImage.fromarray(np.squeeze(levels, 2) if levels.shape[2:] == (1,) else levels)
    if "icc_profile" in like.info:
        made.info["icc_profile"] = like.info["icc_profile"]
    return made


# -- to RGB -------------------------------------------------------------------------------


def _flattened(picture: PilImage.Image) -> PilImage.Image:
    """A picture of 8 bits in sRGB, without palette, and with its transparency over white."""
    from PIL import Image as PilImage

    profile = picture.info.get("icc_profile")
    if not picture.has_transparency_data:
        if picture.mode not in ("RGB", "L", "CMYK"):
            picture = picture.convert("L" if picture.mode == "1" else "RGB")
        return to_srgb(picture, profile).convert("RGB")
    grey = picture.mode in ("1", "L", "LA", "La")
    layer = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
    alpha = layer.getchannel("A")
    colour = to_srgb(layer.getchannel("R") if grey else layer.convert("RGB"), profile)
    if picture.format in _OFTEN_WITHOUT_ALPHA and alpha.getextrema()[1] == 0:
        return colour.convert("RGB")
    layer = colour.convert("RGB")
    layer.putalpha(alpha)
    white = PilImage.new("RGBA", layer.size, "white")
    return PilImage.alpha_composite(white, layer).convert("RGB")
