"""Where a tuning starts: at what anybody could have set without one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

from codecframe.core.codec import Codec
from codecframe.core.errors import SettingsError
from codecframe.core.presets import find_preset, preset_names
from codecframe.core.scaling import ScalableSettings
from codecframe.core.settings import Settings
from codecframe.tuning.search import alternatives, searchable

_SCALES = (0.75, 0.5, 0.375)
"""At few bits smaller resolutions are most of what can be won."""
_MOST = 4
"""Values of a field that are each a starting point, at most: longer ranges are the search's."""


@runtime_checkable
class Variable(Protocol):
    """A codec that knows the common ways to use it.

    Examples:
        >>> from codecframe.tuning import Variable
        >>> isinstance(cf.get_codec("jpeg"), Variable)
        True
    """

    def variants(self, base: Any) -> Iterable[Settings]:
        """Settings that differ from `base` in what is commonly changed, e.g. by switches that a
        search leaves alone. They may be alike, or be `base`.
        """
        ...


def starting_points(
    codec: Codec[Any], base: Settings, encoder: str | None = None
) -> list[Settings]:
    """`base`, the codec's variants of it, smaller resolutions, and the presets that come with the
    codec, each once.

    Args:
        codec: the codec.
        base: what the user starts from.
        encoder: one of the codec's `encoders`: what it lacks stays as it is in `base`.
    """
    presets = [find_preset(codec, name) for name in preset_names(codec)]
    variants = codec.variants(base) if isinstance(codec, Variable) else _variants(base)
    found = {base.at_level(0): base}
    scalable = isinstance(base, ScalableSettings) and base.scale == 1
    smaller = [base.replace(scale=scale) for scale in _SCALES] if scalable else []
    for settings in (*variants, *smaller, *presets):
        with contextlib.suppress(SettingsError):  # what lacks them does not go together
            made = settings if encoder is None else _adapted(codec, settings, base, encoder)
            found.setdefault(made.at_level(0), made)
    return list(found.values())


def _adapted(codec: Codec[Any], settings: Settings, base: Settings, encoder: str) -> Settings:
    made: Settings = codec.adapted(settings, encoder)
    return made.replace(**{name: getattr(base, name) for name in codec.encoders[encoder]})


def _variants(base: Settings) -> Iterator[Settings]:
    """Settings that differ from `base` in one switch, or one choice of few."""
    for info in searchable(type(base)):
        values = alternatives(info) or []
        for value in values if len(values) <= _MOST else []:
            with contextlib.suppress(SettingsError):
                yield base.replace(**{info.name: value})
