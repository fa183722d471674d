"""Profiles: the measured table of rate, accuracy and cost over (codec, settings) for one head."""

from codecframe.evaluation.profile.comparable import comparable
from codecframe.evaluation.profile.coverage import Coverage, coverage
from codecframe.evaluation.profile.description import Description
from codecframe.evaluation.profile.levels import sample
from codecframe.evaluation.profile.measure import measure, reference_of
from codecframe.evaluation.profile.ondevice import DeviceAnswers
from codecframe.evaluation.profile.plan import Plan
from codecframe.evaluation.profile.run import profile_images
from codecframe.evaluation.profile.table import (
    Measurement,
    PerImage,
    Point,
    ProfileTable,
    Row,
    is_profile,
)
from codecframe.evaluation.profile.trial import Seen, Trial, TrialImages, split_trial
from codecframe.evaluation.profile.variants import Variant

__all__ = [
    "Coverage",
    "Description",
    "DeviceAnswers",
    "Measurement",
    "PerImage",
    "Plan",
    "Point",
    "ProfileTable",
    "Row",
    "Seen",
    "Trial",
    "TrialImages",
    "Variant",
    "comparable",
    "coverage",
    "is_profile",
    "measure",
    "profile_images",
    "reference_of",
    "sample",
    "split_trial",
]
