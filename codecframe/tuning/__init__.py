"""Tuning: settings of a codec for a head's task under a budget."""

from codecframe.tuning.candidates import SelfTuning
from codecframe.tuning.exports import check_encoder, in_words, left_behind, measure_export, without
from codecframe.tuning.halves import read_images
from codecframe.tuning.memory import is_memory
from codecframe.tuning.objective import Objective, Score
from codecframe.tuning.run import Tuning, tune
from codecframe.tuning.starts import Variable

__all__ = [
    "Objective",
    "Score",
    "SelfTuning",
    "Tuning",
    "Variable",
    "check_encoder",
    "in_words",
    "is_memory",
    "left_behind",
    "measure_export",
    "read_images",
    "tune",
    "without",
]
