"""What must stay right, instead of how many bytes may be spent.

>>> Keep("98%").least, Keep("98%").of
(0.98, 'predictions')
>>> str(Keep("95%-of-score"))
'95%-of-score'
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from codecframe.core import guarantees
from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError, MismatchError, UsageError, shown
from codecframe.core.settings import Settings

FloatArray = npt.NDArray[np.float64]
Of = Literal["predictions", "relative score", "score"]

_NUMBER = r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s*"
_FORMS: dict[Of, str] = {
    "predictions": _NUMBER + "%",
    "relative score": _NUMBER + r"%\s*-?of[- ]score",
    "score": rf"score\s*[= ]\s*{_NUMBER}",
}
_WORDS: dict[Of, str] = {
    "predictions": "of the predictions on uncompressed images",
    "relative score": "of the score on uncompressed images",
    "score": "score",
}


@dataclass(frozen=True)
class Outcomes:
    """What a head made of the same images through a codec, image by image.

    Attributes:
        agreement: with its prediction on the uncompressed image, 0 to 1, `float64`, (images,);
            None where nobody sees that.
        score: against the label, 0 to 1; None without labels.
        uncompressed: the score on the uncompressed images; None where it is not known.

    Examples:
        >>> outcomes = cf.Outcomes(np.array([1.0, 1.0, 0.0, 1.0]))
        >>> cf.Keep("70%").kept(outcomes)
        0.75
    """

    agreement: FloatArray | None
    score: FloatArray | None = None
    uncompressed: FloatArray | None = None

    def __getitem__(self, images: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Outcomes:
        """Those of some images, by position or mask."""
        return Outcomes(*(None if part is None else part[images] for part in self._parts))

    def __add__(self, other: Outcomes) -> Outcomes:
        """Of these images and then of others."""
        pairs = zip(self._parts, other._parts, strict=True)
        return Outcomes(
            *(None if a is None or b is None else np.concatenate([a, b]) for a, b in pairs)
        )

    def and_kept(self, images: int) -> Outcomes:
        """With so many more images on which nothing is lost: the best that is still possible."""
        ones, zeros = np.ones(images), np.zeros(images)
        return self + Outcomes(ones, ones, zeros)

    def __len__(self) -> int:
        """How many images."""
        return len(next(part for part in self._parts if part is not None))

    @property
    def _parts(self) -> tuple[FloatArray | None, FloatArray | None, FloatArray | None]:
        return self.agreement, self.score, self.uncompressed


class Measured(Protocol):
    """What a head made of images like those that will come; a `codecframe.Profile` is one."""

    def outcomes_of(
        self, codec: Codec[Any], settings: Settings
    ) -> Sequence[tuple[Settings, Outcomes]]:
        """Of settings that differ from these in the knob alone, those that were measured, each with
        what the head made of the images; the highest level first.

        Raises:
            CodecframeError: if there are none.
        """
        ...


@dataclass(frozen=True)
class Keep:
    """What must stay right behind a codec, with a confidence that it does.

    `98%`: of the predictions on uncompressed images; no labels are needed. `95%-of-score`: of the
    score on uncompressed images. `score=0.85`: of all images. Each is about the mean over images
    like those that were measured, and is claimed only where the chance of a wrong claim is at most
    1 - `confidence` (see `codecframe.core.guarantees`).

    Attributes:
        text: what must stay right.
        confidence: from 0.5 to below 1.
        measured: where it takes the place of a budget, what says which level keeps it: a profile.

    Raises:
        BudgetError: if the text has another form, or asks for nothing or all.

    Examples:
        >>> keep = cf.Keep("98%")
        >>> keep.least, keep.of, keep.images_needed()
        (0.98, 'predictions', 149)
        >>> cf.Keep("score=0.85", confidence=0.99).error.__round__(3)
        0.01
    """

    text: str
    confidence: float = 0.95
    measured: Measured | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1:
            raise BudgetError(f"a confidence is from 0.5 to below 1, not {self.confidence:g}")
        if not 0 < self.least < 1:
            raise BudgetError(f"cannot keep {shown(self.text)}: it must be above 0 and below all")

    @classmethod
    def asked(
        cls,
        keep: Keep | str | None = None,
        score: float | None = None,
        confidence: float | None = None,
    ) -> Keep | None:
        """What is meant by the options `keep`, `score` and `confidence`; None where none is given.

        Raises:
            UsageError: if both `keep` and `score` are given.
            BudgetError: if `keep` cannot be read.
        """
        if keep is not None and score is not None:
            raise UsageError("give either {keep} or {score}")
        if score is not None:
            keep = f"score={score:g}"
        if keep is None:
            return None
        found = cls(keep) if isinstance(keep, str) else keep
        return found if confidence is None else replace(found, confidence=confidence)

    @property
    def of(self) -> Of:
        """Of what: `predictions`, `relative score` or `score`."""
        return self._read()[0]

    @property
    def least(self) -> float:
        """The share or score that must be kept: 0.98."""
        return self._read()[1]

    @property
    def error(self) -> float:
        """The chance of a wrong claim that is allowed."""
        return 1 - self.confidence

    @property
    def needs_labels(self) -> bool:
        """Whether it is about scores."""
        return self.of != "predictions"

    @property
    def words(self) -> str:
        """`98 % of the predictions on uncompressed images`."""
        if self.of == "score":
            return f"a score of {100 * self.least:g} %"
        return f"{100 * self.least:g} % {_WORDS[self.of]}"

    def settings_for(self, codec: Codec[Any], settings: Settings) -> Settings:
        """Settings with the knob at the lowest level that surely keeps it, of those that were
        measured: they are tested from the highest down, until the first that is not sure.

        Args:
            codec: the codec.
            settings: everything but the knob.

        Raises:
            BudgetError: if nothing was measured, or no level is sure.

        Examples:
            >>> head = "photo_heads:brightness"
            >>> profile = cf.profile("photos", head, codecs=["webp"], levels=[20, 80])
            >>> keep = cf.Keep("50%", confidence=0.5, measured=profile)
            >>> keep.settings_for(cf.get_codec("webp"), cf.get_codec("webp").settings()).quality
            20.0
        """
        if self.measured is None:
            raise BudgetError(
                f"which level keeps {self.text} must be measured: give Keep({self.text!r}, "
                f"measured=profile), or take the settings that `select --keep {self.text}` finds"
            )
        found = self.measured.outcomes_of(codec, settings)
        sure = guarantees.sequence((self.p_value(made) for _, made in found), self.error)
        if not sure:
            raise BudgetError(
                f"{codec.name}: no level that was measured surely keeps {self.words}; at least "
                f"{self.images_needed()} images are needed, if nothing is lost on any"
            )
        return found[sure - 1][0]

    def kept(self, outcomes: Outcomes) -> float:
        """What was kept of these images, as a share or score."""
        if self.of == "predictions":
            return float(self._agreement(outcomes).mean())
        score = float(self._score(outcomes).mean())
        if self.of == "score":
            return score
        before = float(self._uncompressed(outcomes).mean())
        return score / before if before else 1.0

    def values(self, outcomes: Outcomes) -> FloatArray:
        """What is compared of each image, from 0 to 1; its mean says how much is kept."""
        return self._claim(outcomes, self.least)[0]

    def value(self, outcomes: Outcomes) -> float:
        """The mean of what is compared: of few images, too."""
        return float(self.values(outcomes).mean())

    def p_value(self, outcomes: Outcomes, least: float | None = None) -> float:
        """The p-value against the claim that it is kept on images like these."""
        return guarantees.p_value(*self._claim(outcomes, self.least if least is None else least))

    def at_least(self, outcomes: Outcomes, error: float | None = None) -> float:
        """What is kept of images like these, at least; wrong with a chance of `error`."""
        allowed = self.error if error is None else error
        return guarantees.bisect(lambda least: self.p_value(outcomes, least) <= allowed)

    def images_needed(self, error: float | None = None) -> int:
        """How many images show that it is kept, if nothing is lost on any of them."""
        allowed = self.error if error is None else error
        if self.of != "relative score":
            return guarantees.needed(self.least, allowed)
        gain = math.log1p(0.9 * (1 - self.least) / self.least)  # of bets on values that are kept
        return math.ceil(math.log(guarantees.BETS / allowed) / gain)

    def images_needed_at(self, outcomes: Outcomes, error: float | None = None) -> int:
        """About how many images show it, if as much is kept of them as of these; 0 where no number
        can, because less is kept.
        """
        allowed = self.error if error is None else error
        values, least = self._claim(outcomes, self.least)
        mean = float(values.mean())
        if mean <= least:
            return 0
        if self.of != "relative score":
            return guarantees.needed_at(mean, least, allowed)
        return math.ceil(
            2 * math.log(guarantees.BETS / allowed) * float(values.var()) / (mean - least) ** 2
        )

    def __str__(self) -> str:
        return self.text

    def _read(self) -> tuple[Of, float]:
        for of, form in _FORMS.items():
            if match := re.fullmatch(form, self.text.strip()):
                number = float(match["number"])
                return of, number if of == "score" else number / 100
        raise BudgetError(f"cannot read {shown(self.text)}: write 98%, 95%-of-score or score=0.85")

    def _claim(self, outcomes: Outcomes, least: float) -> tuple[FloatArray, float]:
        """Values from 0 to 1, and what their mean must be at least."""
        if self.of == "predictions":
            return self._agreement(outcomes), least
        score = self._score(outcomes)
        if self.of == "score":
            return score, least
        # score >= least * uncompressed on average, brought from [-least, 1] to [0, 1]
        values = (score - least * self._uncompressed(outcomes) + least) / (1 + least)
        return values, least / (1 + least)

    def _agreement(self, outcomes: Outcomes) -> FloatArray:
        if outcomes.agreement is None:
            raise MismatchError(
                f"{self.text} is about predictions on uncompressed images, which "
                "the head does not see: ask for a score"
            )
        return outcomes.agreement

    def _score(self, outcomes: Outcomes) -> FloatArray:
        if outcomes.score is None:
            raise MismatchError(f"{self.text} is about scores: give labels")
        return outcomes.score

    def _uncompressed(self, outcomes: Outcomes) -> FloatArray:
        if outcomes.uncompressed is None:
            raise MismatchError(
                f"{self.text} is about the score on uncompressed images, which the profile does "
                "not know: measure anew"
            )
        return outcomes.uncompressed
