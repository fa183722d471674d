"""Budgets and rate controllers. They know codecs only through their interface."""

from codecframe.rate.asked import one_asked, settled
from codecframe.rate.budget import Accounting, Budget, counted_size
from codecframe.rate.cascade import sure_from
from codecframe.rate.controllers import RateController, StreamController, controller
from codecframe.rate.keep import Keep, Measured, Outcomes
from codecframe.rate.ladder import Ladder
from codecframe.rate.levels import level_bytes, read_levels, told_levels
from codecframe.rate.mean import MeanSearch, SetSize, fit_levels, fit_mean, set_size
from codecframe.rate.perimage import KeepController, LevelTable
from codecframe.rate.search import fit

__all__ = [
    "Accounting",
    "Budget",
    "Keep",
    "KeepController",
    "Ladder",
    "LevelTable",
    "MeanSearch",
    "Measured",
    "Outcomes",
    "RateController",
    "SetSize",
    "StreamController",
    "controller",
    "counted_size",
    "fit",
    "fit_levels",
    "fit_mean",
    "level_bytes",
    "one_asked",
    "read_levels",
    "set_size",
    "settled",
    "sure_from",
    "told_levels",
]
