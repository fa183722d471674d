"""Recipes: training learned codecs and classifiers, and published tables."""

from codecframe.training.runs import run_training

__all__ = ["run_training"]
