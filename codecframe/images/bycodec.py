"""Image files that an installed codec decodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import DataError, DependencyError
from codecframe.core.image import Image
from codecframe.images.colour import to_srgb
from codecframe.images.kinds import HEAD, TOLD, suffix_of, usual_suffix


def codecs_for(data: bytes, suffix: str = "") -> list[Codec[Any]]:
    """The installed codecs that may read a file, the likeliest first.

    Those that its content tells, else those of its name's suffix, else all. A suffix that content
    never tells goes first: a plugin's format may begin like another one, as JPEG-LS does like JPEG.
    """
    known = list(registry.default().codecs.values())
    named, told = usual_suffix(suffix), suffix_of(data[:HEAD])
    likely = [told] if named in TOLD else [named, told]
    found = [codec for each in likely for codec in known if each and codec.extension == each]
    found = found or [codec for codec in known if named and codec.extension == named]
    return found or known


def decode_as(suffix: str, data: bytes, name: str) -> Image:
    """Decode a file with the first codec that reads it.

    Args:
        suffix: of the file's name; it counts where the content says nothing.
        data: the file.
        name: what to call it in errors.

    Raises:
        DataError: if no codec reads it.
        LimitError: if it is over a limit.
    """
    reason: Exception | str = "is not an image that can be read"
    candidates = codecs_for(data, suffix)
    for codec in candidates:
        try:
            for package, install in codec.requires.items():
                registry.require(package, install)
            return in_srgb(codec, data)
        except (DataError, DependencyError) as error:
            if len({codec.extension for codec in candidates}) == 1:
                reason = error
    raise DataError(name, reason)


def in_srgb(codec: Codec[Any], data: bytes) -> Image:
    """The image that a codec decodes, its colours brought to sRGB.

    Raises:
        DataError, LimitError: as `Codec.decode`.
    """
    image = codec.decode(data)
    profile = codec.icc_profile(data)
    if not profile:
        return image
    from PIL import Image as PilImage

    return np.array(to_srgb(PilImage.fromarray(image), profile))
