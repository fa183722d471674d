"""TIFF files that Pillow reads wrongly, or with libtiff's messages on stderr, are decoded here.

Pillow reads the tags; samples come from imagecodecs. What is not known to come out right is
refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image as PilImage
    from PIL.TiffImagePlugin import TiffImageFile

DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
"""Modes of Pillow whose samples it gives as they are stored."""

MIN_IS_WHITE, MIN_IS_BLACK, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_ASSOCIATED, _UNASSOCIATED = 1, 2
_MOST_CHANNELS = 5
_TILE_AREA = 1 << 24
"""Pixels of a tile that is larger than its image, at most."""


class Kind(NamedTuple):
    """What the tags say of the samples.

    Attributes:
        photometric: what they mean.
        bits: of each, in the order of the channels.
        sample_format: 1 for unsigned, 2 for signed integers, 3 for floating point.
        channels: of a pixel.
        planar: whether each channel is stored by itself.
        alpha: the kind of transparency (1: colours are multiplied by it, 2: they are not), 0 for
            none.
    """

    photometric: int
    bits: tuple[int, ...]
    sample_format: int
    channels: int
    planar: bool
    alpha: int

    @property
    def deep(self) -> bool:
        """Whether samples are other than unsigned integers of at most 8 bits."""
        return max(self.bits) > 8 or self.sample_format != _UNSIGNED

    @property
    def high_bytes_do(self) -> bool:
        """Whether it is 16-bit colour of which Pillow gives the high bytes."""
        return set(self.bits) == {16} and self.sample_format == _UNSIGNED and not self.planar


GREY_16 = Kind(MIN_IS_BLACK, (16,), _UNSIGNED, 1, False, 0)
"""Greyscale from 0 to 65535."""


def kind_of(picture: PilImage.Image) -> Kind | None:
    """What the tags of a TIFF say; None for other images.

    Raises:
        ValueError: if the tags contradict one another.
    """
    tags = getattr(picture, "tag_v2", None)
    if picture.format != "TIFF" or tags is None:
        return None
    bits = _numbers(tags.get(258), (1,))
    formats = set(_numbers(tags.get(339), (_UNSIGNED,))) - {4}  # 4: of an unknown kind
    extra = _numbers(tags.get(338), ())
    if len(formats) > 1 or not all(1 <= depth <= 64 for depth in bits):
        raise ValueError("has samples of several kinds")
    alpha = next((kind for kind in extra if kind in (_ASSOCIATED, _UNASSOCIATED)), 0)
    photometric, channels, planar = (
        _numbers(tags.get(tag), default)[0]
        for tag, default in ((262, (MIN_IS_WHITE,)), (277, (1,)), (284, (1,)))
    )
    return Kind(photometric, bits, (formats or {1}).pop(), channels, planar == 2, alpha)


def check_tiles(picture: PilImage.Image) -> None:
    """Refuse tiles that are much larger than the image, before memory is taken for them.

    Raises:
        ValueError: if they are.
    """
    tags = cast("TiffImageFile", picture).tag_v2
    area = _numbers(tags.get(322), (0,))[0] * _numbers(tags.get(323), (0,))[0]
    if area > max(_TILE_AREA, 4 * picture.width * picture.height):
        raise ValueError("has tiles that are much larger than the image")


def needs_decoding(picture: PilImage.Image, kind: Kind) -> bool:
    """Whether a TIFF that is not loaded yet goes to `decode`."""
    compressed = any(tile[0] == "libtiff" for tile in getattr(picture, "tile", ()))
    usual = kind.photometric in (MIN_IS_WHITE, MIN_IS_BLACK, _RGB, _PALETTE, _YCBCR)
    return usual and (compressed or (kind.deep and picture.mode not in DEEP))


def decode(data: bytes, picture: PilImage.Image, kind: Kind) -> npt.NDArray[Any]:
    """The samples of the first page: (height, width), or (height, width, channels).

    Raises:
        ValueError: if they cannot be decoded.
    """
    import imagecodecs

    if kind.channels > _MOST_CHANNELS:
        raise ValueError(f"has {kind.channels} channels")
    try:
        samples = imagecodecs.tiff_decode(data)
    except Exception as error:  # the library raises many kinds
        raise ValueError(str(error)) from None
    if kind.planar and samples.ndim == 3:
        samples = samples.transpose(1, 2, 0)
    if sorted(samples.shape[:2]) != sorted(picture.size):  # not turned yet
        raise ValueError(f"has samples that are not an image: {samples.shape}")
    return samples


def as_picture(
    samples: npt.NDArray[Any], picture: PilImage.Image, kind: Kind
) -> PilImage.Image | None:
    """Samples of at most 8 bits as Pillow would give them; None where it has to do it itself."""
    from PIL import Image as PilImage

    bands = len(picture.getbands())
    if samples.dtype == np.bool_:
        samples = samples.astype(np.uint8) * 255
    if samples.dtype != np.uint8 or samples.ndim != (2 if bands == 1 else 3):
        return None
    if (bands > 1 and samples.shape[2] != bands) or max(kind.bits) not in (1, 8):
        return None
    if kind.alpha == _ASSOCIATED:
        return None
    if kind.photometric == MIN_IS_WHITE:
        samples = 255 - samples
    mode = "L" if picture.mode == "1" else picture.mode
    made = PilImage.frombytes(mode, samples.shape[1::-1], samples.tobytes())
    made.info = dict(picture.info)
    if picture.mode in ("P", "PA"):
        made.putpalette(mended_palette(picture) or picture.getpalette() or [])
    return made


def mended_palette(picture: PilImage.Image) -> list[int] | None:
    """The palette of a TIFF with 8 bits a level, which Pillow takes for 16; else None."""
    colours = getattr(picture, "tag_v2", {}).get(320)
    if picture.mode not in ("P", "PA") or not colours or max(colours) > 255:
        return None
    count = len(colours) // 3
    return [int(colours[channel * count + i]) for i in range(count) for channel in range(3)]


def to_rgb(samples: npt.NDArray[Any], kind: Kind) -> npt.NDArray[np.uint8]:
    """Deep samples as 8 bits: (height, width) grey or (height, width, 3), transparency over white.

    Raises:
        ValueError: for samples that are not known to come out right.
    """
    greys = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, _RGB: 3}.get(kind.photometric, 0)
    if samples.ndim == 2:
        samples = samples[:, :, None]
    extra = samples.shape[2] - greys
    if not greys or extra not in (0, 1) or len(set(kind.bits)) > 1:
        raise ValueError(f"TIFF of {kind.bits} bits, photometric interpretation {kind.photometric}")
    bits = kind.bits[0]
    if greys == 3 and bits == 16 and samples.dtype.kind == "u":
        samples, bits = samples >> 8, 8  # the high bytes, as of every image in colour
    levels = scaled(samples, bits)
    if kind.photometric == MIN_IS_WHITE:
        levels[:, :, :1] = 1 - levels[:, :, :1]
    colour, alpha = levels[:, :, :greys], levels[:, :, greys:]
    if kind.alpha and extra:
        colour = colour + (1 - alpha) if kind.alpha == _ASSOCIATED else 1 - (1 - colour) * alpha
    made = (colour.clip(0, 1) * 255).round().astype(np.uint8)
    return made[:, :, 0] if greys == 1 else made


def scaled(samples: npt.NDArray[Any], bits: int) -> npt.NDArray[np.float32]:
    """Samples from 0 to 1, `float32`.

    Args:
        samples: unsigned integers of `bits` bits, signed ones that are not negative, or floating
            point up to 1 (what lies below 0 is 0).
        bits: depth of the samples.

    Raises:
        ValueError: if they are otherwise.
    """
    if samples.dtype.kind == "f":
        if not (np.isfinite(samples).all() and samples.max() <= 1):
            raise ValueError("has floating-point samples that do not lie between 0 and 1")
        return samples.astype(np.float32).clip(0, 1)
    top = (1 << bits) - 1
    if samples.dtype.kind == "i":
        top >>= 1
        if samples.min() < 0:
            raise ValueError("has negative samples")
    elif samples.dtype.kind != "u":
        raise ValueError(f"has samples that are not an image: {samples.dtype}")
    if samples.max() > top:
        raise ValueError(f"has samples that do not fit in {bits} bits")
    return np.asarray(np.divide(samples, top, dtype=np.float32))


def _numbers(value: Any, default: tuple[int, ...]) -> tuple[int, ...]:
    """A tag's integers, however many there are."""
    values = value if isinstance(value, tuple) else (value,)
    found = tuple(int(v) for v in values if isinstance(v, int))
    return found or default
