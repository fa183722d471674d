"""Tuning: settings of a codec for a head's task under a budget."""

from codecframe.tuning.memory import is_memory
from codecframe.tuning.objective import Objective, Score
from codecframe.tuning.retrain import is_retrained
from codecframe.tuning.run import SelfTuning, Tuning, tune

__all__ = ["Objective", "Score", "SelfTuning", "Tuning", "is_memory", "is_retrained", "tune"]
