"""Payloads of two layers: one for the head, and behind it one for a person who looks.

    @dataclass(frozen=True, kw_only=True)
    class MySettings(codecframe.LayeredSettings):
        level: int = codecframe.knob(10, low=0, high=17, help="of the task layer")
        picture: int | str = codecframe.picture(16)

    class MyCodec(codecframe.Codec[MySettings]):
        def encode_image(self, image, settings): ...  # the task layer alone
        def decode(self, data): ...                   # what there is: one layer or both
        def decode_latents(self, data): ...           # looks at the task layer alone

        def picture_encoder(self, image, data, settings): ...   # the three methods of `Layered`
        def strip_layers(self, data): ...
        def restore_layers(self, layers, settings, shape): ...

`Codec.encode` puts the layers together: `encode_image` is never asked for a picture. What a budget
can set is one ladder: first the knob, up to the level that the settings name, then the picture. So
the task layer has the right of way, and the sum is what counts.

A payload of the task layer alone is what the codec without pictures has. Where both layers are one
payload, the length of the first is before it; where they cross the link one after the other,
nothing is spent on that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from codecframe.core.errors import DataError, SettingsError
from codecframe.core.image import Image, Shape
from codecframe.core.settings import MAX_LEVELS, Knob, Settings, option

NONE, SPARE = "none", "spare"
"""Values of the setting `picture` beside its levels: no picture; what a budget leaves for it."""
_FIELD = "picture"
MOST_PICTURES = MAX_LEVELS - 1
"""Of pictures: one byte names the level, or that there is no picture."""
_MOST_LENGTH = 5
"""Bytes of a length, at most."""


def picture(levels: int, default: int | str = NONE) -> Any:
    """Declare the field `picture` of a layered codec's settings, with so many levels of pictures.

    Level 0 takes the fewest bytes.

    Examples:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class MySettings(cf.LayeredSettings):
        ...     level: int = cf.knob(10, low=0, high=17, help="of the task layer")
        ...     picture: int | str = cf.picture(16)
        >>> MySettings(picture=16)
        Traceback (most recent call last):
        SettingsError: setting 'picture' is 16: expected one of none, spare, 0 to 15
    """
    if not 1 <= levels <= MOST_PICTURES:
        raise ValueError(f"a picture has 1 to {MOST_PICTURES} levels, not {levels}")
    return option(
        default,
        choices=(NONE, SPARE, *range(levels)),
        searched=False,
        help="how much picture goes behind what the head needs: none, a level, or spare: what a "
        "budget leaves. Under a budget a level is the highest, and the knob is, too",
    )


@dataclass(frozen=True, kw_only=True)
class LayeredSettings(Settings):
    """Settings of a codec with two layers. Subclasses declare `picture` anew, with their levels.

    Examples:
        >>> isinstance(cf.get_codec("webp").settings(), cf.LayeredSettings)
        False
    """

    picture: int | str = picture(MOST_PICTURES)

    @property
    def picture_level(self) -> int | None:
        """The level of the picture, or None where there is no picture.

        Raises:
            SettingsError: if it is `spare`, which only a budget makes a level.
        """
        if self.picture == SPARE:
            expected = "none or a level, as there is no budget to leave something"
            raise SettingsError(_FIELD, SPARE, expected)
        return self.picture if isinstance(self.picture, int) else None

    @property
    def task_alone(self) -> Self:
        """The same without a picture."""
        return self if self.picture == NONE else self.replace(picture=NONE)

    @property
    def picture_byte(self) -> int:
        """The picture as one byte, where a receiver must be told: 0 for none, else its level + 1.

        Raises:
            SettingsError: if it is `spare`.
        """
        level = self.picture_level
        return 0 if level is None else level + 1

    def with_picture_byte(self, byte: int) -> Self:
        """These settings with the picture that `picture_byte` told.

        Raises:
            SettingsError: if there is no such level.
        """
        return self.replace(picture=byte - 1 if byte else NONE)

    @classmethod
    def picture_levels(cls) -> int:
        """How many levels pictures have."""
        (found,) = (info for info in cls.fields() if info.name == _FIELD)
        return sum(isinstance(choice, int) for choice in found.option.choices or ())


@dataclass(frozen=True)
class Layers:
    """The two parts of a payload.

    Attributes:
        task: what the head needs: the payload of the same image without a picture.
        picture: what a person needs on top; None where there is no picture.

    Examples:
        >>> cf.Layers(b"task", b"picture").packed()
        b'\\x04taskpicture'
        >>> cf.Layers.unpacked(b'\\x04taskpicture', "mine")
        Layers(task=b'task', picture=b'picture')
        >>> cf.Layers(b"task").packed()
        b'task'
    """

    task: bytes
    picture: bytes | None = None

    def packed(self) -> bytes:
        """As one payload: the task layer alone, or its length (7 bits a byte, the lowest first, the
        top bit set in all but the last), itself, and the picture layer.
        """
        if self.picture is None:
            return self.task
        length, digits = len(self.task), bytearray()
        while length > 0x7F:
            digits.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes([*digits, length]) + self.task + self.picture

    @classmethod
    def unpacked(cls, payload: bytes, source: str) -> Layers:
        """Read a payload of both layers.

        Args:
            payload: as `packed` makes it.
            source: the codec, as errors name it.

        Raises:
            DataError: if it is cut short, or `packed` would write it otherwise.
        """
        length = 0
        for place, digit in enumerate(payload[:_MOST_LENGTH]):
            length |= (digit & 0x7F) << 7 * place
            if not digit & 0x80:
                start = place + 1
                break
        else:
            raise DataError(source, "has two layers and not the length of the first")
        if place and not digit:
            raise DataError(source, "writes the length of its first layer with needless zeros")
        if length > len(payload) - start:
            raise DataError(source, "ends within the first of its two layers")
        return cls(payload[start : start + length], payload[start + length :])


S_contra = TypeVar("S_contra", bound=LayeredSettings, contravariant=True)


@runtime_checkable
class Layered(Protocol[S_contra]):
    """What a codec with a picture layer implements besides. Its settings are `LayeredSettings`.

    `strip` and `restore` are not implemented then: by default they are made of these.

    Examples:
        >>> isinstance(cf.get_codec("webp"), cf.Layered)
        False
    """

    def picture_encoder(
        self, image: Image, data: bytes, settings: S_contra
    ) -> Callable[[int], bytes]:
        """A function that puts a picture of the image behind its task layer.

        What is the same for all levels is done once, here, so that trying levels is cheap.

        Args:
            image: what `data` was made of.
            data: its encoding without a picture.
            settings: it was made with; what they say of how much picture does not count.

        Returns:
            From a level to data of both layers. The task layer stays as it is.
        """
        ...

    def strip_layers(self, data: bytes) -> Layers:
        """Each layer without what settings, image shape and the layers' lengths determine.

        The task layer is the payload of the same image without a picture.
        """
        ...

    def restore_layers(self, layers: Layers, settings: S_contra, shape: Shape) -> bytes:
        """Exact inverse of `strip_layers`, given the settings and (height, width).

        Args:
            layers: the payloads.
            settings: with the picture's level in `picture` where there is a picture.
            shape: (height, width).

        Raises:
            DataError: if they cannot come from `strip_layers`.
        """
        ...


def varied(settings: Settings) -> Knob | None:
    """What a budget sets last: the picture, where the settings want one, else the knob."""
    if isinstance(settings, LayeredSettings) and settings.picture != NONE:
        return Knob(_FIELD, tuple(range(settings.picture_levels())))
    return settings.knob()


def layered(codec: object) -> Layered[Any] | None:
    """The codec, if it has layers: it implements `Layered`, and its settings say how many levels
    its pictures have.

    Examples:
        >>> cf.layered(cf.get_codec("webp")) is None
        True
    """
    kind = getattr(codec, "settings_type", None)
    if isinstance(codec, Layered) and isinstance(kind, type) and issubclass(kind, LayeredSettings):
        return codec
    return None
