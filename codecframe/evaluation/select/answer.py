"""The answer to "which codec, at which settings", as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from codecframe.core.errors import MismatchError
from codecframe.core.head import TaskHead
from codecframe.core.tables import Result, Table, interval, percent
from codecframe.pipeline import Pipeline
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
        picture_bytes: those of `bytes_per_image` that are the payload's picture layer; 0 where
            there is none.
        encode_us, decode_us: microseconds an image, all cores.
        needs: the smallest budget of the kind asked for that its least encodings meet.
        gap: the winner's score minus this one's on the same images, with the 95 % interval
            `gap_low` to `gap_high`; None for the winner.
        why: one sentence.
        above: where a budget is for the average, the point that was measured just above it.
        at_least: where something must be kept, what is kept of images like these at least, with
            the selection's confidence; `score` is then what was kept of these.
        device_ms: milliseconds of one encoding on the device that was asked about.
        device_head: of a cascade, the head on the device.
        sure: from what confidence on it answers; None: never, all images travel.
        travels: the share of the images that is sent; the others cost their answers. Bytes are the
            mean over all of them.
        device_head_us: microseconds that the head on the device took for an image on the machine
            that measured; not in `encode_us`, nor in `device_ms`.

    Examples:
        >>> head = "photo_heads:brightness"
        >>> choice = cf.select("photos", head=head, codecs=["webp"], budget="3bpp")
        >>> choice.winner.codec, choice.winner.bpp <= 3
        ('webp', True)
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
    at_least: float | None = None
    device_ms: float | None = None
    device_head: str | None = None
    sure: float | None = None
    travels: float = 1.0
    device_head_us: float | None = None
    picture_bytes: float = 0.0

    @property
    def label(self) -> str:
        """Codec and settings that differ from the defaults, in one line; of a cascade, behind what
        the head on the device answers.
        """
        label = " ".join(filter(None, [self.codec, self.words, self.knob]))
        if self.device_head is None or self.sure is None:
            return label
        return f"{self.device_head} from {self.sure:.6g}, then {label}"

    @property
    def encode_ms(self) -> float:
        """Milliseconds of an encoding: on the device, or else as `encode_us` says."""
        return self.encode_us / 1e3 if self.device_ms is None else self.device_ms


HOW = {
    "cap": "for every image",
    "mean": "on average",
    "link": "over the link",
    "keep": "kept",
}
"""What a budget's mode means, after the budget."""


@dataclass(frozen=True, repr=False)
class Selection(Result):
    """The answer to "which codec, at which settings".

    Attributes:
        budget, mode, accounting: what was asked; where something must be kept, `budget` is the text
            of the `Keep` and `mode` is `keep`.
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
        remarks: what was noticed about the images' labels.
        judges: the heads that judged, by name, where they are known as objects.
        prepared: whether images were brought to the geometry that the heads look at.
        confidence: where something must be kept, how sure it is that the choice keeps it.

    Examples:
        >>> head = "photo_heads:brightness"
        >>> choice = cf.select("photos", head=head, codecs=["webp"], budget="3bpp")
        >>> choice.pipeline().encode(photo).size <= 3 * 48 * 64 / 8
        True
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
    remarks: tuple[str, ...] = ()
    judges: Mapping[str, TaskHead] = field(default_factory=dict)
    prepared: bool = True
    confidence: float | None = None

    @property
    def candidates(self) -> list[Candidate]:
        """All, the winner first."""
        return [*([self.winner] if self.winner else []), *self.others]

    @property
    def front(self) -> list[Candidate]:
        """Those that nothing else beats in bytes, score and encode time at once."""
        every = self.candidates
        return [one for one in every if not any(_beats(other, one) for other in every)]

    @property
    def has_device(self) -> bool:
        """Whether it was asked for a device."""
        return any(one.device_ms is not None for one in self.candidates)

    @property
    def has_cascades(self) -> bool:
        """Whether heads on the device were considered."""
        return any(one.device_head is not None for one in self.candidates)

    @property
    def has_pictures(self) -> bool:
        """Whether a candidate has a picture layer."""
        return any(one.picture_bytes for one in self.candidates)

    @property
    def heads(self) -> list[str]:
        """The heads that judged, each once."""
        return list(dict.fromkeys(candidate.head for candidate in self.candidates))

    def pipeline(self, head: TaskHead | str | None = None) -> Pipeline:
        """The choice, ready to run: codec, settings, head and budget.

        Under a budget for each image or a link the pipeline meets it image by image. Under one for
        the average, or where something must be kept, its settings are those that were measured,
        the knob included.

        Args:
            head: by default the head that judged; of a cascade, the one behind the link.

        Raises:
            MismatchError: if nothing meets the budget.
            UnknownNameError: if the codec is not installed, or the head cannot be opened by the
                name that the profile has of it: then give it.
        """
        best = self.winner
        if best is None:
            closest = f"; closest: {self.would_fit}" if self.would_fit else ""
            raise MismatchError(f"nothing {self._verb} {self.budget}{closest}")
        budget = None if self.mode in ("mean", "keep") else Budget.parse(self.budget)
        judge = head or self.judges.get(best.head, best.head)
        first, fallback = judge, None
        if best.device_head is not None and best.sure is not None:
            first, fallback = self.judges.get(best.device_head, best.device_head), judge
        return Pipeline(
            best.codec,
            first,
            settings=best.settings,
            budget=budget,
            accounting=self.accounting,
            prepare=self.prepared,
            fallback=fallback,
            sure=None if fallback is None else best.sure,
        )

    def shown(self) -> Sequence[str | Table]:
        """The choice, a table of all candidates with the reason why each lost, and notes."""
        several = len(self.heads) > 1
        title = f"{self.budget} {HOW[self.mode]}, {self.accounting} bytes, {self.images} images"
        if self.confidence is not None:
            title += f", {100 * self.confidence:g} % sure"
        said = []
        if self.winner is not None:
            behind = f" for the head {self.winner.head}" if several else ""
            said = [f"{self.winner.label}{behind}\n"]
        else:
            said = [f"Nothing {self._verb} {title.replace(' kept', '', 1)}."]
            if self.would_fit:
                said.append(f"Closest: {self.would_fit}.\n")
        columns = [
            "", "codec", *["head"] * several, *self.columns, *[">travels %"] * self.has_cascades,
            f">bytes ({self.accounting})", *[">task", ">picture"] * self.has_pictures,
            ">bpp", ">encode µs", ">decode µs",
            *[">device ms", "front"] * self.has_device, "why",
        ]  # fmt: skip
        rows = [
            [">" if one is self.winner else "", one.label, *[one.head] * several, *self._cells(one)]
            for one in self.candidates
        ]
        table = Table(columns, rows, title if self.winner else "")
        return [*said, table, *(f"\nNote: {note}." for note in self.notes)]

    def _cells(self, one: Candidate) -> list[object]:
        """From how good it is to why it was, or was not, chosen."""
        sure = percent(one.at_least) if one.at_least is not None else interval(one.low, one.high)
        device = "" if one.device_ms is None else f"{one.device_ms:.3g}"
        return [
            percent(one.score),
            sure,
            *[percent(one.travels)] * self.has_cascades,
            f"{one.bytes_per_image:.0f}",
            *self._layers(one) * self.has_pictures,
            f"{one.bpp:.3f}",
            f"{one.encode_us:.0f}",
            f"{one.decode_us:.0f}",
            *[device, "yes" if one in self.front else ""] * self.has_device,
            one.why,
        ]

    @staticmethod
    def _layers(one: Candidate) -> list[str]:
        """Bytes of the task layer, and of what is counted besides, and of the picture layer."""
        task = one.bytes_per_image - one.picture_bytes
        return [f"{task:.0f}", f"{one.picture_bytes:.0f}"]

    @property
    def columns(self) -> tuple[str, str]:
        """The names of the columns that say how good a candidate is."""
        if self.confidence is not None:
            return f">{self.measure} kept %", ">at least %"
        return f">{self.measure} %", ">95 %"

    @property
    def _verb(self) -> str:
        return "meets" if self.confidence is None else "keeps"

    def records(self) -> list[dict[str, Any]]:
        """A flat row for each candidate, the winner first."""
        return [_record(one, chosen=one is self.winner) for one in self.candidates]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        values = asdict(replace(self, judges={}))
        return {k: v for k, v in values.items() if k not in ("judges", "prepared", "remarks")}


def _beats(one: Candidate, other: Candidate) -> bool:
    """Whether it is as good in all three, and better in one."""
    ours = (one.bytes_per_image, -one.score, one.encode_ms)
    theirs = (other.bytes_per_image, -other.score, other.encode_ms)
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))


def _record(one: Candidate, *, chosen: bool) -> dict[str, Any]:
    values = asdict(one)
    needs = None if one.needs is None else str(one.needs)
    flat = {key: value for key, value in values.items() if key not in ("above", "settings")}
    return {"chosen": chosen, **flat, "settings": dict(one.settings), "needs": needs}
