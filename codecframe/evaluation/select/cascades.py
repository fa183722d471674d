"""Cascades among candidates: points behind a head on the device that answers what it is sure of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import MismatchError, UsageError, shown
from codecframe.evaluation.profile import Coverage, DeviceAnswers, PerImage, ProfileTable
from codecframe.rate import Outcomes
from codecframe.rate.cascade import together

AUTO: Literal["auto"] = "auto"
"""In place of a confidence: the one at which the fewest bytes keep what must stay right."""


def sure_of(given: float | str | None) -> float | Literal["auto"] | None:
    """What is meant by the option `sure`: a confidence from 0 to 1, or `auto`.

    Raises:
        UsageError: if it is something else.
    """
    if given is None or given == AUTO:
        return None if given is None else AUTO
    try:
        found = float(given)
        if 0 <= found <= 1:
            return found
    except ValueError:
        pass
    raise UsageError(f"{{sure}} is a confidence from 0 to 1, or auto, not {shown(given)}")


@dataclass(frozen=True)
class Cascade:
    """A head on the device, and from what confidence on it answers.

    Attributes:
        answers: what it says of the images.
        sure: the confidence; infinite: all images travel.
    """

    answers: DeviceAnswers
    sure: float

    @property
    def here(self) -> npt.NDArray[np.bool_]:
        """Which images are answered on the device."""
        return np.asarray(self.answers.confidence >= self.sure)

    def mixed(self, found: PerImage) -> PerImage:
        """Measurements of a point, with what the device answers in their place."""
        here, ours = self.here, self.answers
        return replace(
            found,
            size=np.where(here, ours.size, found.size),
            least=np.where(here, ours.size, found.least),
            score=np.where(here, ours.score, found.score),
            record=np.where(here, ours.record, found.record) if len(found.record) else found.record,
            picture=np.where(here, 0.0, found.picture),
        )

    def outcomes(self, fallback: Outcomes) -> Outcomes:
        """The same of what a promise is measured by."""
        return together(self.here, self.answers.outcomes, fallback)

    def described(self) -> dict[str, Any]:
        """The fields of a `Candidate` that tell of it."""
        never = not np.isfinite(self.sure)
        return {
            "device_head": self.answers.head,
            "sure": None if never else self.sure,
            "travels": float((~self.here).mean()),
            "device_head_us": self.answers.us,
        }


def answered(
    tables: Sequence[ProfileTable], covered: Coverage, sure: float | str | None
) -> tuple[Coverage, list[list[DeviceAnswers]]]:
    """The coverage less the images that a head on the device has not answered yet, and what these
    heads say, for each profile; nothing if it is not asked for.

    Raises:
        MismatchError: if no profile knows such a head, or no image is left.
    """
    if sure is None:
        return covered, [[] for _ in tables]
    every = [[table.device.answers(head) for head in table.device.heads] for table in tables]
    if not any(every):
        raise MismatchError(
            "the profile knows no head on the device: `codecframe profile --head SMALL --fallback "
            "LARGE` measures one"
        )
    known = [one.image for answers in every for one in answers]
    images = reduce(np.intersect1d, known, covered.images)
    if not len(images):
        raise MismatchError("no image was answered on the device yet; the same command goes on")
    return replace(covered, images=images), every
