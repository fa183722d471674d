"""Which profiles can be compared."""

from __future__ import annotations

from collections.abc import Sequence

from codecframe.core import registry
from codecframe.core.classification import CLASSIFICATION
from codecframe.core.errors import CodecframeError, MismatchError, shown
from codecframe.evaluation.profile.table import ProfileTable

_UNSAID = {"task": CLASSIFICATION.name}
"""What profiles of former formats do not say."""


def comparable(profiles: ProfileTable | Sequence[ProfileTable]) -> list[ProfileTable]:
    """One or several profiles as a list, in which scores can be compared.

    Raises:
        MismatchError: if they are of other images or measures.
    """
    if isinstance(profiles, ProfileTable):
        return [profiles]
    first, *others = profiles
    for other in others:
        _check(first, other)
    return [first, *others]


def _check(one: ProfileTable, other: ProfileTable) -> None:
    facts, others = one.meta, other.meta
    for key in ("images", "first_image", "labelled", "metric", "task"):
        ours, theirs = (of.get(key, _UNSAID.get(key)) for of in (facts, others))
        if ours != theirs:
            raise MismatchError(
                f"{one.path} was made with {key} {shown(ours)}, {other.path} with {shown(theirs)}"
            )
    if not one.labelled and _judge(one) != _judge(other):
        raise MismatchError(
            f"without labels, {one.head} and {other.head} are measured by what each sees in the "
            "uncompressed images: give labels"
        )


def _judge(table: ProfileTable) -> str:
    """The head whose predictions of uncompressed images agreement is measured by."""
    head = table.head
    if said := table.meta.get("reference"):
        return str(said)
    try:
        return registry.default().head(head).reference or head
    except CodecframeError:  # its file is elsewhere
        return head
