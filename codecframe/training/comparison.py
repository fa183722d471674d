"""A learned codec beside standard ones, in front of the same head: what each keeps of what the head
says of uncompressed images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import CodecframeError
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.core.presets import parse_spec
from codecframe.core.progress import ProgressMaker
from codecframe.core.registry import missing
from codecframe.core.settings import Settings
from codecframe.evaluation.profile import TrialImages
from codecframe.images import ImageItem
from codecframe.pipeline import decode_for
from codecframe.rate import Accounting, Budget, Keep, MeanSearch, counted_size
from codecframe.tuning import read_images

RIVALS = {"jpeg": "jpeg:optimize=true", "webp": "webp", "avif": "avif"}
"""Standard codecs, by what tables call them."""
AIMS = (0.95, 0.99)
"""Agreement at which bits are compared."""
_SAMPLE = 6
"""Images on which levels for rates are looked for first."""


@dataclass(frozen=True)
class _Seen:
    """Images as the head prepares them, what it says of them, and their labels, if any."""

    images: list[Image]
    own: Sequence[Any]
    targets: Sequence[Any] | None


def beside(
    learned: str,
    head: TaskHead,
    items: Sequence[ImageItem],
    rates: Sequence[float],
    rival_rates: Sequence[float],
    name: str,
    progress: ProgressMaker,
) -> list[dict[str, Any]]:
    """A row for each codec and rate, the learned codec first.

    Args:
        learned: the learned codec's file.
        head: of pixels.
        items: images that nothing was chosen on.
        rates: at which the learned codec is measured, in bits per pixel; those of rows in tables.
        rival_rates: at which the standard codecs are.
        name: of the learned codec in the rows.
        progress: shows how far it is.
    """
    found = registry.default()
    rivals = {key: spec for key, spec in RIVALS.items() if _is_installed(key)}
    points = len(rates) + len(rivals) * len(rival_rates)
    with progress(1 + points) as display:
        images, targets = read_images(head, items)
        seen = _Seen(images, head.pseudo_targets(head.predict(images)), targets)
        display.advance(1, "uncompressed")
        rows = []
        for key, spec, judge, asked in (
            (name, learned, found.head(learned), rates),
            *((key, spec, head, rival_rates) for key, spec in rivals.items()),
        ):
            codec, settings = parse_spec(spec)
            for level in _levels(codec, settings, seen.images, asked):
                row = _row(codec, settings.at_level(level), judge, seen)
                rows.append({"codec": key, "asked": _nearest(asked, row["bpp"]), **row})
                display.advance(1, f"{key} {row['bpp']:.2f} bpp")
        display.advance(points - len(rows), "")
    return rows


def _is_installed(name: str) -> bool:
    try:
        return not missing(registry.get_codec(name).requires)
    except CodecframeError:
        return False


def _levels(
    codec: Codec[Any], settings: Settings, images: Sequence[Image], rates: Sequence[float]
) -> list[int]:
    """Levels for rates, ascending, each once; the lowest for rates that the codec cannot reach."""
    some = images[:: max(len(images) // _SAMPLE, 1)][:_SAMPLE]
    guide = MeanSearch(codec, settings, some, Accounting.PAYLOAD)
    search = MeanSearch(codec, settings, images, Accounting.PAYLOAD, guide=guide)
    return sorted({search.closest(Budget(rate, "bpp", "mean")).level for rate in rates})


def _nearest(rates: Sequence[float], bpp: float) -> float:
    return min(rates, key=lambda rate: abs(math.log(rate / max(bpp, 1e-9))))


def _row(codec: Codec[Any], settings: Settings, judge: TaskHead, seen: _Seen) -> dict[str, Any]:
    """Rate, agreement and score at some settings."""
    data = codec.encode_many(seen.images, settings)
    bits = 8 * sum(counted_size(codec, one, settings, Accounting.PAYLOAD) for one in data)
    pixels = sum(image.shape[0] * image.shape[1] for image in seen.images)
    said = judge.predict(decode_for(codec, judge, data))
    targets = seen.targets
    return {
        "bpp": round(bits / pixels, 4),
        "agreement": float(judge.score(said, seen.own).mean()),
        "score": None if targets is None else float(judge.score(said, targets).mean()),
    }


def kept_at(learned: Path, items: Sequence[ImageItem], keep: Keep) -> dict[str, Any]:
    """The level of the fewest bytes at which a learned codec surely keeps what must stay right; the
    highest where none does. Levels are tested from there down, until the first that is not sure.

    Args:
        learned: the learned codec's file.
        items: images that nothing was chosen on.
        keep: what must stay right.
    """
    found = registry.default()
    codec, head = found.codec(str(learned)), found.head(str(learned))
    images = TrialImages.read(items, head, prepare=True)
    pixels = sum(image.shape[0] * image.shape[1] for image in images.images)
    answer: dict[str, Any] = {}
    for level in reversed(range(codec.settings_type().knob_levels())):
        settings = codec.settings_type().at_level(level)
        datas = codec.encode_many(images.images, settings)
        outcomes = images.outcomes(codec, datas)
        sure = keep.p_value(outcomes) <= keep.error
        if sure or not answer:
            answer = {
                "what": str(keep),
                "confidence": keep.confidence,
                "level": level,
                "sure": sure,
                "bpp": round(8 * sum(len(codec.strip(data)) for data in datas) / pixels, 4),
                "kept": keep.kept(outcomes),
                "images": len(images.images),
            }
        if not sure:
            break
    return answer


def saved(rows: Sequence[Mapping[str, Any]], aims: Sequence[float] = AIMS) -> list[dict[str, Any]]:
    """The bits that the learned codec saves against each other one, where both agree so often as
    each of the aims says.
    """
    own = rows[0]["codec"]
    found = []
    for aim in aims:
        ours, ours_reached = _needed([row for row in rows if row["codec"] == own], aim)
        for codec in dict.fromkeys(row["codec"] for row in rows if row["codec"] != own):
            theirs, reached = _needed([row for row in rows if row["codec"] == codec], aim)
            found.append(
                {
                    "codec": codec,
                    "agreement": aim,
                    "own": ours if ours_reached else None,
                    "other": theirs,
                    "reached": reached,
                }
            )
    return found


def _needed(rows: Sequence[Mapping[str, Any]], aim: float) -> tuple[float | None, bool]:
    """(bits per pixel for so much agreement, or else the highest that were tried; whether it is
    reached).
    """
    if not rows:
        return None, False
    best = np.maximum.accumulate([row["agreement"] for row in rows])
    bits = np.log([max(row["bpp"], 1e-9) for row in rows])
    if best[-1] < aim:
        return round(float(rows[-1]["bpp"]), 4), False
    at = int(np.argmax(best >= aim))
    if at == 0 or best[at] == best[at - 1]:
        return round(float(rows[at]["bpp"]), 4), True
    share = (aim - best[at - 1]) / (best[at] - best[at - 1])
    return round(float(np.exp(bits[at - 1] + share * (bits[at] - bits[at - 1]))), 4), True
