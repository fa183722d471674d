"""Rules by which a server asks for a frame's picture: `probability < 0.6`, `label in cat, dog`.

>>> rule = Rule.parse("label in cat, dog")
>>> rule.labels
('cat', 'dog')
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codecframe import Prediction, UsageError

_PROBABILITY = re.compile(r"probability\s*(<|under)\s*(0?\.\d+|0|1|1\.0*)")
_LABEL = re.compile(r"label\s*(in|=)\s*(.+)")


@dataclass(frozen=True)
class Rule:
    """When a person will want to look.

    Attributes:
        below: the likeliest class has a smaller probability.
        labels: the likeliest class is one of these.
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

    def applies(self, prediction: Prediction) -> bool:
        """Whether the prediction of one image asks for its picture."""
        (first,) = prediction.top(1)[0]
        return first.probability < self.below or (first.label or str(first.index)) in self.labels
