"""Choosing a codec and settings under a budget: from profiles, or straight from images."""

from codecframe.evaluation.select.choose import Candidate, Selection, select
from codecframe.evaluation.select.images import select_on_images

__all__ = ["Candidate", "Selection", "select", "select_on_images"]
