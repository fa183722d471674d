"""Which profiles can be compared."""

from __future__ import annotations

from codecframe import registry
from codecframe.errors import CodecframeError, MismatchError
from codecframe.profile import ProfileTable
from codecframe.rate import Budget


def check_comparable(one: ProfileTable, other: ProfileTable, budget: Budget) -> None:
    """That scores and bytes of two profiles can be compared.

    Raises:
        MismatchError: if they are of other images or measures.
    """
    facts, others = one.meta, other.meta
    for key in ("images", "first_image", "labelled", "metric"):
        if facts[key] != others[key]:
            raise MismatchError(
                f"{one.path} was made with {key} {facts[key]!r}, {other.path} with {others[key]!r}"
            )
    if budget.unit == "bpp" and one.pixels != other.pixels:
        raise MismatchError(
            f"{facts['head']} and {others['head']} look at images of other sizes: give the budget "
            "in bytes"
        )
    if not one.labelled and _judge(facts["head"]) != _judge(others["head"]):
        raise MismatchError(
            f"without labels, {facts['head']} and {others['head']} are measured by what each sees "
            "in the uncompressed images: give labels"
        )


def _judge(head: str) -> str:
    """The head whose predictions of uncompressed images agreement with `head` is measured by."""
    try:
        return registry.default().head(head).reference or head
    except CodecframeError:  # its file is elsewhere
        return head
