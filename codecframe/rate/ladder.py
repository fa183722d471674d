"""What a budget can set, in one ladder from fewest bytes to most."""

from __future__ import annotations

from dataclasses import dataclass

from codecframe.core.layers import NONE, LayeredSettings
from codecframe.core.settings import Settings


@dataclass(frozen=True)
class Ladder:
    """The rungs that a search goes over.

    Those of the knob; where the settings want a picture behind the task layer, those of the knob up
    to the one that they name, then this one with each level of the picture up to theirs.

    Attributes:
        settings: everything but the knob; where they want a picture, the knob, too.
    """

    settings: Settings

    @property
    def knob_rungs(self) -> int:
        """How many rungs have no picture. They come first."""
        return self.settings.level + 1 if self.has_pictures else self.settings.knob_levels()

    @property
    def has_pictures(self) -> bool:
        """Whether a budget may be spent on a picture."""
        return isinstance(self.settings, LayeredSettings) and self.settings.picture != NONE

    @property
    def rungs(self) -> int:
        """How many rungs there are."""
        if not isinstance(self.settings, LayeredSettings) or not self.has_pictures:
            return self.knob_rungs
        wanted = self.settings.picture
        pictures = wanted + 1 if isinstance(wanted, int) else self.settings.picture_levels()
        return self.knob_rungs + pictures

    def at(self, rung: int) -> Settings:
        """The settings at a rung, 0 for the fewest bytes."""
        if not isinstance(self.settings, LayeredSettings) or not self.has_pictures:
            return self.settings.at_level(rung)
        if rung < self.knob_rungs:
            return self.settings.task_alone.at_level(rung)
        return self.settings.replace(picture=rung - self.knob_rungs)

    def rung(self, settings: Settings) -> int:
        """The rung of settings that `at` gives."""
        if isinstance(settings, LayeredSettings) and isinstance(settings.picture, int):
            return self.knob_rungs + settings.picture
        return settings.level
