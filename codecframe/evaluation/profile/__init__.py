"""Profiles: the measured table of rate, accuracy and cost over (codec, settings) for one head."""

from codecframe.evaluation.profile.comparable import comparable
from codecframe.evaluation.profile.coverage import Coverage, coverage
from codecframe.evaluation.profile.description import Description
from codecframe.evaluation.profile.levels import Prepared, sample
from codecframe.evaluation.profile.measure import measure, reference_of
from codecframe.evaluation.profile.plan import (
    DEFAULT_RATES,
    Plan,
    Variant,
    point_for_budget,
    points_for_levels,
    points_for_rates,
)
from codecframe.evaluation.profile.run import profile_images
from codecframe.evaluation.profile.table import (
    Measurement,
    PerImage,
    Point,
    ProfileTable,
    Row,
    is_profile,
)

__all__ = [
    "DEFAULT_RATES",
    "Coverage",
    "Description",
    "Measurement",
    "PerImage",
    "Plan",
    "Point",
    "Prepared",
    "ProfileTable",
    "Row",
    "Variant",
    "comparable",
    "coverage",
    "is_profile",
    "measure",
    "point_for_budget",
    "points_for_levels",
    "points_for_rates",
    "profile_images",
    "reference_of",
    "sample",
]
