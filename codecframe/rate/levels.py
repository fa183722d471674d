"""How a receiver is told the levels of an encoding, where they vary from image to image: by one
byte for the knob's and, where the settings want pictures, one for the picture's."""

from __future__ import annotations

from codecframe.core.errors import DataError, SettingsError
from codecframe.core.layers import NONE, LayeredSettings
from codecframe.core.settings import Settings


def level_bytes(given: Settings) -> int:
    """How many bytes that takes, for settings as they were given."""
    return (given.knob() is not None) + _wants_pictures(given)


def told_levels(given: Settings, chosen: Settings) -> bytes:
    """The bytes.

    Args:
        given: the settings as they were given.
        chosen: those of one image.
    """
    knob = bytes([chosen.level]) if given.knob() else b""
    if isinstance(chosen, LayeredSettings) and _wants_pictures(given):
        return knob + bytes([chosen.picture_byte])
    return knob


def read_levels(given: Settings, data: bytes, source: str) -> tuple[Settings, bytes]:
    """(settings of one image, what follows the bytes that tell them).

    Raises:
        DataError: if there are no such levels, or too few bytes.
    """
    count = level_bytes(given)
    if len(data) < count:
        raise DataError(source, "is too short to tell its levels")
    told, settings = list(data[:count]), given
    try:
        if given.knob() is not None:
            settings = settings.at_level(told.pop(0))
        if isinstance(settings, LayeredSettings) and told:
            settings = settings.with_picture_byte(told.pop(0))
    except SettingsError as error:
        raise DataError(source, error.problem) from None
    return settings, data[count:]


def _wants_pictures(given: Settings) -> bool:
    return isinstance(given, LayeredSettings) and given.picture != NONE
