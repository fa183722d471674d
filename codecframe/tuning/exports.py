"""What settings cost and score once they are exported: other encoders lack some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError, UnknownNameError
from codecframe.core.settings import Settings
from codecframe.core.statistics import wilson
from codecframe.rate import Accounting
from codecframe.tuning.objective import Objective


def check_encoder(codec: Codec[Any], encoder: str) -> None:
    """Refuse an encoder that the codec's settings are not exported to.

    Raises:
        UnknownNameError: names those that they are.
    """
    if encoder not in codec.encoders:
        raise UnknownNameError(f"{codec.name} encoder", encoder, sorted(codec.encoders))


def measure_export(
    codec: Codec[Any], settings: Settings, encoder: str, *objectives: Objective
) -> dict[str, Any]:
    """What settings cost and score through one of `codec.encoders`, in whole files.

    The knob is where the mean is within the budget on the images of each objective.

    Args:
        codec: its own encoder gives the same bytes, once settings are adapted.
        settings: whatever their knob.
        encoder: the other encoder.
        objectives: images and budget; the last one's images are scored.

    Returns:
        Plain data, as presets hold it: the adapted `settings`, `bpp`, `score` with its 95 %
        interval `low` to `high`, `images`, `lacks` (settings that stay behind). `within` is false
        where even the lowest knob is over the budget, which is then what was measured.
    """
    made = codec.adapted(settings, encoder)
    counted = [objective.counting(Accounting.FILE) for objective in objectives]
    within, level = True, made.level
    try:
        level = min(each.measure(codec, made).settings.level for each in counted)
    except BudgetError:
        within, level = False, 0
    score = counted[-1].measure_at(codec, made.at_level(level))
    pixels = np.mean([image.shape[0] * image.shape[1] for image in counted[-1].images])
    low, high = wilson(score.score, len(score.scores))
    return {
        "settings": score.settings.changed(),
        "bpp": round(8 * score.size / float(pixels), 4),
        "score": round(score.score, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "images": len(score.scores),
        "budget": str(counted[-1].budget),
        "within": within,
        "lacks": left_behind(codec, settings, encoder),
    }


def left_behind(codec: Codec[Any], settings: Settings, encoder: str) -> list[str]:
    """The settings that an encoder lacks, of those that are not as usual."""
    adapted = codec.adapted(settings, encoder)
    return [
        name
        for name in settings.changed()
        if name in codec.encoders[encoder] and getattr(adapted, name) != getattr(settings, name)
    ]


def in_words(encoder: str, figures: Mapping[str, Any]) -> list[str]:
    """What `measure_export` found, in lines."""
    lines = without(encoder, figures["lacks"])
    score, low, high = (f"{100 * figures[key]:.1f}" for key in ("score", "low", "high"))
    lines.append(
        f"measured for {encoder}: {figures['bpp']:.3f} bpp in whole files, "
        f"{score} % ({low}-{high}) on {figures['images']} images"
    )
    if not figures["within"]:
        lines.append(f"OVER the budget of {figures['budget']}: no lower quality meets it")
    return lines


def without(encoder: str, names: Sequence[str]) -> list[str]:
    """That these settings stay behind, if there are any."""
    return [f"without {' and '.join(names)}, which {encoder} cannot do"] if names else []
