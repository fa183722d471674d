"""Rules by which a server asks for a frame's picture: `probability < 0.6`, `label in cat, dog`.

>>> rule = Rule.parse("label in cat, dog")
>>> rule.labels
('cat', 'dog')
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codecframe import Detections, Prediction, TaskPrediction, UsageError

_PROBABILITY = re.compile(r"probability\s*(<|under)\s*(0?\.\d+|0|1|1\.0*)")
_LABEL = re.compile(r"label\s*(in|=)\s*(.+)")


@dataclass(frozen=True)
class Rule:
    """When a person will want to look.

    Attributes:
        below: the likeliest class, or a box, has a smaller probability.
        labels: the likeliest class, or that of a box, is one of these.
    """

    below: float = 0.0
    labels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, known: Sequence[str] = ()) -> Rule:
        """Read a rule.

        Args:
            text: `probability < 0.6` or `label in cat, dog`.
            known: the head's labels; empty: any are taken.

        Raises:
            UsageError: if it is not one, or of labels that the head does not have.
        """
        text = text.strip()
        if match := _PROBABILITY.fullmatch(text):
            return cls(below=float(match[2]))
        if match := _LABEL.fullmatch(text):
            labels = tuple(label.strip() for label in match[2].split(","))
            for label in labels:
                if known and label not in known:
                    raise UsageError(f"{{ask}}: the head has no label {label!r}")
            return cls(labels=labels)
        raise UsageError(
            f"{{ask}} cannot be {text!r}: write probability < 0.6, or label in cat, dog"
        )

    def applies(self, prediction: TaskPrediction) -> bool:
        """Whether the prediction of one image asks for its picture."""
        return any(
            probability < self.below or label in self.labels
            for label, probability in _seen(prediction)
        )


def _seen(prediction: TaskPrediction) -> list[tuple[str, float]]:
    """(label, probability): of a classifier's likeliest class, of each box of a detector."""
    if isinstance(prediction, Prediction):
        (first,) = prediction.top(1)[0]
        return [(first.label or str(first.index), first.probability)]
    if isinstance(prediction, Detections):
        boxes = (zip(one.classes, one.scores, strict=True) for one in prediction.sure())
        return [(prediction.label(int(k)), float(p)) for image in boxes for k, p in image]
    return []
