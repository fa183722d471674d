"""A codec with everything but its knob decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codecframe.core.codec import Codec
from codecframe.core.settings import Settings
from codecframe.evaluation.profile.table import Point


@dataclass(frozen=True)
class Variant:
    """A codec with everything but its knob decided."""

    codec: Codec[Any]
    settings: Settings

    def at(self, settings: Settings) -> Point:
        """The point of this codec at fixed settings."""
        return Point(self.codec.name, settings.to_dict())
