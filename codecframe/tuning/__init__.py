"""Tuning: settings of a codec for a head's task under a budget."""

from codecframe.tuning.objective import Objective, Score
from codecframe.tuning.run import SelfTuning, Tuning, tune

__all__ = ["Objective", "Score", "SelfTuning", "Tuning", "tune"]
