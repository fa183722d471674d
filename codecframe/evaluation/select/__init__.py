"""Choosing a codec and settings under a budget: from profiles, or straight from images."""

from codecframe.evaluation.select.answer import Candidate, Selection
from codecframe.evaluation.select.choose import RATE_TOLERANCE, select
from codecframe.evaluation.select.images import select_on_images
from codecframe.evaluation.select.keep_images import select_keeping_on_images
from codecframe.evaluation.select.keeping import measured_outcomes, select_keeping

__all__ = [
    "RATE_TOLERANCE",
    "Candidate",
    "Selection",
    "measured_outcomes",
    "select",
    "select_keeping",
    "select_keeping_on_images",
    "select_on_images",
]
