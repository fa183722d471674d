"""Tuning: settings of a codec for a head's task under a budget."""

from codecframe.tuning.candidates import SelfTuning
from codecframe.tuning.exports import measure_export, without
from codecframe.tuning.halves import read_images
from codecframe.tuning.objective import Objective, Score
from codecframe.tuning.run import Tuning, tune
from codecframe.tuning.starts import Variable

__all__ = [
    "Objective",
    "Score",
    "SelfTuning",
    "Tuning",
    "Variable",
    "measure_export",
    "read_images",
    "tune",
    "without",
]
