"""Budgets and rate controllers. They know codecs only through their interface."""

from codecframe.rate.budget import Accounting, Budget, counted_size
from codecframe.rate.cascade import sure_from
from codecframe.rate.controllers import RateController, StreamController, controller
from codecframe.rate.keep import Keep, Outcomes
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
    "read_levels",
    "set_size",
    "sure_from",
    "told_levels",
]
