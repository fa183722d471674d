"""What a camera keeps of its last frames, so that it can send their pictures when asked."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import isinf

from codecframe import Image, LayeredSettings, Layers, MismatchError, layered
from codecframe_serving.encoder import Choice, Shot

_SHARE = 3, 4
"""Of the levels of pictures: the one that is sent where nothing says another."""


@dataclass(frozen=True)
class Kept:
    """A frame's image, and what was sent of it."""

    name: str
    image: Image
    shot: Shot


class Album:
    """The last frames by their numbers, bounded in bytes.

    Args:
        most: bytes of all images together; the oldest go first.
    """

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[int, Kept] = OrderedDict()

    def keep(self, number: int, kept: Kept) -> None:
        """Keep a frame, in place of older ones where there is no room."""
        self._kept[number] = kept
        self._size += _bytes(kept)
        while self._size > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._size -= _bytes(oldest)

    def find(self, number: int) -> Kept | None:
        """The frame of that number, if it is still kept."""
        return self._kept.get(number)


def _bytes(kept: Kept) -> int:
    return kept.image.nbytes + len(kept.shot.payload)


def picture_of(choice: Choice, kept: Kept, limit: float) -> tuple[int, bytes] | None:
    """(level, picture layer) of a frame that was sent, of at most `limit` bytes; None where no
    level is that small.

    Without a limit the level is the choice's, and three quarters up where it has none.

    Raises:
        MismatchError: if the codec has no pictures.
    """
    codec, settings = layered(choice.codec), choice.settings
    if codec is None or not isinstance(settings, LayeredSettings):
        raise MismatchError(f"{choice.codec.name} has no picture layer")
    shot, levels = kept.shot, settings.picture_levels()
    alone = settings.task_alone.at_level(shot.level)
    data = codec.restore_layers(Layers(shot.payload), alone, shot.shape)
    encode = codec.picture_encoder(kept.image, data, alone)
    given = choice.asked

    def layer(level: int) -> bytes:
        return codec.strip_layers(encode(level)).picture or b""

    if isinf(limit):
        level = levels * _SHARE[0] // _SHARE[1] if given is None else given
        return level, layer(level)
    found, low, high = None, -1, levels if given is None else given + 1
    while high - low > 1:
        middle = (low + high) // 2
        made = layer(middle)
        if len(made) <= limit:
            low, found = middle, (middle, made)
        else:
            high = middle
    return found
