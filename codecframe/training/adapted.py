"""What became of a head that was adapted to a codec, on held-out images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codecframe.core.codec import Codec
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.core.settings import Settings
from codecframe.core.tables import FileResult, Table, percent
from codecframe.rate import Accounting, counted_size


@dataclass(frozen=True)
class AdaptedAt:
    """How a head does on held-out images before and after it was adapted, at one level.

    Attributes:
        bpp: mean rate of what arrives; None for uncompressed images.
        settings: of the codec; empty for uncompressed images.
        agreement: share of the images that the head gives the class that it gave them uncompressed,
            before it was adapted: (before, after).
        score: against labels, (before, after); None without labels.

    Examples:
        >>> at = cf.AdaptedAt(0.2, {"quality": 17}, (0.61, 0.79), None)
        >>> before, after = at.agreement
        >>> f"{after - before:+.2f}"
        '+0.18'
    """

    bpp: float | None
    settings: Mapping[str, Any]
    agreement: tuple[float, float]
    score: tuple[float, float] | None


@dataclass(frozen=True, repr=False)
class Adapted(FileResult):
    """A head that was adapted; takes the place of its path, e.g. `get_head(str(adapted))`.

    Attributes:
        path: the model file.
        head: the head that it comes from.
        codec: what it was adapted to.
        images: held-out images that the figures are of.
        points: the figures, of uncompressed images first.
        minutes: that it took, those of earlier runs not counted.
        peak_memory: bytes that this process held at most; None where the system does not say.
        preset: the file of the settings that were tuned in turn, if any were.

    Examples:
        >>> at = cf.AdaptedAt(0.2, {"quality": 17}, (0.61, 0.79), None)
        >>> found = cf.Adapted(Path("net.pt2"), "net", "avif", 200, (at,), 10.0, None)
        >>> print(found.shown()[-1])
        head: net.pt2
    """

    path: Path
    head: str
    codec: str
    images: int
    points: tuple[AdaptedAt, ...]
    minutes: float
    peak_memory: int | None
    preset: Path | None = None

    def records(self) -> list[dict[str, Any]]:
        """A row for each rate, of uncompressed images first."""
        return [asdict(point) for point in self.points]

    def shown(self) -> Sequence[str | Table]:
        """What the head gained behind the codec, and what it lost on uncompressed images."""
        scored = any(point.score for point in self.points)
        columns = ["images", ">bpp", ">agreement %", ">adapted", ">gain"]
        rows = []
        for point in self.points:
            what = " ".join(f"{key}={value}" for key, value in point.settings.items())
            row = [
                what or "uncompressed",
                "" if point.bpp is None else f"{point.bpp:.3f}",
                *_change(point.agreement),
            ]
            rows.append(row + (_change(point.score) if point.score else []))
        columns += [">score %", ">adapted", ">gain"] if scored else []
        title = f"{self.head} behind {self.codec}, {self.images} held-out images"
        memory = f", {self.peak_memory / 1e9:.1f} GB of memory" if self.peak_memory else ""
        return [
            Table(tuple(columns), [tuple(row) for row in rows], title),
            f"\ntook {self.minutes:.1f} minutes{memory}",
            *([f"preset: {self.preset}"] if self.preset else []),
            f"head: {self.path}",
        ]


def _change(pair: tuple[float, float]) -> list[str]:
    before, after = pair
    return [percent(before), percent(after), f"{100 * (after - before):+.1f}"]


def compared(
    heads: tuple[TaskHead, TaskHead],
    images: list[Image],
    targets: Sequence[Any] | None,
    codec: Codec[Any],
    levels: Sequence[Settings],
    accounting: Accounting,
) -> tuple[AdaptedAt, ...]:
    """How two heads do on images, uncompressed and behind a codec.

    Args:
        heads: before and after.
        images: as the heads prepare them.
        targets: labels of the images, if there are any.
        codec: in front of the heads.
        levels: its settings.
        accounting: which bytes count.
    """
    own = heads[0].pseudo_targets(heads[0].predict(images))
    found = [_point(heads, images, own, targets, None, {})]
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    for settings in levels:
        data = codec.encode_many(images, settings)
        sizes = [counted_size(codec, one, settings, accounting) for one in data]
        knob = settings.knob()
        said = {} if knob is None else {knob.field: getattr(settings, knob.field)}
        seen = codec.decode_many(data)
        found.append(_point(heads, seen, own, targets, 8 * sum(sizes) / pixels, said))
    return tuple(found)


def _point(
    heads: tuple[TaskHead, TaskHead],
    seen: list[Image],
    own: Sequence[Any],
    targets: Sequence[Any] | None,
    bpp: float | None,
    settings: Mapping[str, Any],
) -> AdaptedAt:
    """How the heads do on images as they arrive, against the first one's targets and labels."""
    said = [head.predict(seen) for head in heads]

    def right(truth: Sequence[Any]) -> tuple[float, float]:
        before, after = (
            float(head.score(one, truth).mean()) for head, one in zip(heads, said, strict=True)
        )
        return before, after

    return AdaptedAt(bpp, settings, right(own), None if targets is None else right(targets))
