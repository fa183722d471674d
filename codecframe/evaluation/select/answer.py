"""The answer to "which codec, at which settings", as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from codecframe.rate import Budget


@dataclass(frozen=True)
class NextPoint:
    """The point of a codec that was measured just above a budget on average.

    Attributes:
        knob: as words, `quality=12`.
        bytes_per_image, bpp: as in `Candidate`.
        over: how far it is over the budget: 0.017 is 1.7 %.
        score: what it would give.
    """

    knob: str
    bytes_per_image: float
    bpp: float
    over: float
    score: float

    def words(self, unit: str) -> str:
        """`0.407 bpp, 1.7 % over: 84.8 %`, for a budget in bits a pixel."""
        rate = f"{self.bpp:.3f} bpp" if unit == "bpp" else f"{self.bytes_per_image:.0f} bytes"
        return f"{rate}, {share(self.over)} over: {100 * self.score:.1f} %"


def share(value: float) -> str:
    """0.017 as `1.7 %`, 0.48 as `48 %`."""
    return f"{100 * value:.{1 if value < 0.0995 else 0}f} %"


@dataclass(frozen=True)
class Candidate:
    """One codec variant at its best under the budget.

    Attributes:
        codec: the codec's name.
        head: the name of the head that judged it.
        settings: its settings; where the knob varies from image to image, without the knob.
        words: those of its settings that differ from the codec's defaults, in one line.
        knob: the knob as words: `quality=31`, or `quality=12..48` where it varies.
        fits: whether the budget is met for every image (cap) or on average (mean, link).
        score: expected score by the profile's measure, with its 95 % interval `low` to `high`.
        bytes_per_image: mean counted bytes, over the images that could be encoded at all.
        bpp: counted bits / pixels.
        encode_us, decode_us: microseconds an image, all cores.
        needs: the smallest budget of the kind asked for that its least encodings meet.
        gap: the winner's score minus this one's on the same images, with the 95 % interval
            `gap_low` to `gap_high`; None for the winner.
        why: one sentence.
        above: where a budget is for the average, the point that was measured just above it.
    """

    codec: str
    head: str
    settings: Mapping[str, Any]
    words: str
    knob: str
    fits: bool
    score: float
    low: float
    high: float
    bytes_per_image: float
    bpp: float
    encode_us: float
    decode_us: float
    needs: Budget | None
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    why: str = ""
    above: NextPoint | None = None

    @property
    def label(self) -> str:
        """Codec and settings that differ from the defaults, in one line."""
        return " ".join(filter(None, [self.codec, self.words, self.knob]))


@dataclass(frozen=True)
class Selection:
    """The answer to "which codec, at which settings".

    Attributes:
        budget, mode, accounting: what was asked.
        measure: what scores are: the head's metric against labels, or agreement with its own
            predictions on the uncompressed images.
        images: how many images the answer rests on.
        winner: the choice, or None if nothing meets the budget.
        others: the rest, best first, each with why it lost.
        would_fit: where nothing meets the budget, the smallest that would be met, as text.
        notes: what limits the answer, a sentence each: measurements that are missing, a point just
            above the budget that would be better than the choice.
        left_out: (name, reason) of images that could not be read.
        failed: codecs whose plugins failed, each with the reason.
    """

    budget: str
    mode: str
    accounting: str
    measure: str
    images: int
    winner: Candidate | None
    others: tuple[Candidate, ...]
    would_fit: str | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def candidates(self) -> list[Candidate]:
        """All, the winner first."""
        return [*([self.winner] if self.winner else []), *self.others]

    @property
    def heads(self) -> list[str]:
        """The heads that judged, each once."""
        return list(dict.fromkeys(candidate.head for candidate in self.candidates))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

