"""What is said of a measured point; a profile keeps it, so that its codec need not be installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codecframe.core import presets, registry
from codecframe.core.layers import varied
from codecframe.core.representation import PIXELS


@dataclass(frozen=True)
class Description:
    """What tables and plots say of the codec and settings of a point.

    Attributes:
        words: settings that differ from the codec's defaults, without the knob, in one line.
        knob: the settings field that is the knob, or `picture` where the settings want one; empty
            where the codec has none.
        ladder: the knob's values by level, those of fewest bytes first.
        sends_latents: whether the codec prefers to hand latents to the head, and no image.
    """

    words: str
    knob: str
    ladder: tuple[float, ...]
    sends_latents: bool

    @classmethod
    def of(cls, codec: str, settings: dict[str, Any]) -> Description:
        """As the installed codec says.

        Raises:
            UnknownNameError: if it is not installed.
            SettingsError: if it does not take the settings.
        """
        found = registry.default().codec(codec)
        given = found.settings_type.from_dict(settings)
        knob = varied(given)
        return cls(
            presets.describe(found, given),
            knob.field if knob else "",
            knob.ladder if knob else (),
            found.emits[0] != PIXELS,
        )

    @property
    def levels(self) -> int:
        """How many levels there are; one without a knob."""
        return len(self.ladder) or 1

    def knob_at(self, levels: Sequence[int]) -> str:
        """The knob at its lowest and highest level as words: `quality=31`, `quality=12..48`."""
        if not self.knob:
            return ""
        values = [f"{self.ladder[level]:g}" for level in dict.fromkeys(levels)]
        return f"{self.knob}={'..'.join(values)}"

    def without_knob(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings, less the knob."""
        return {key: value for key, value in settings.items() if key != self.knob}

    def stored(self) -> tuple[str, str, str, int]:
        """As the columns of the profile's table hold it."""
        return self.words, self.knob, json.dumps(self.ladder), int(self.sends_latents)
