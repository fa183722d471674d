"""What the numbers that a classifier gives mean, and scores made of them.

A model ends in a linear layer, a softmax, its logarithm, or a sigmoid for each class; each wants
another treatment before two predictions can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import MismatchError, SettingsError

KINDS = ("logits", "probabilities", "log-probabilities", "sigmoid")
"""`probabilities` of the classes sum to 1; `sigmoid` is a probability for each class by itself."""

FloatArray = npt.NDArray[np.float32]

_TINY = np.float32(1e-12)
_EDGE = 1e-7
"""Nearest that a sigmoid is taken to come to 0 and 1: as near as float32 tells from 1."""


def checked_kind(value: object) -> str | None:
    """One of `KINDS`, or None.

    Raises:
        SettingsError: for anything else.
    """
    if value is not None and value not in KINDS:
        raise SettingsError("outputs", value, f"one of {', '.join(KINDS)}")
    return None if value is None else str(value)


def are_distributions(values: FloatArray) -> bool:
    """Whether every row, of two classes or more, is a distribution up to rounding."""
    classes = values.shape[1]
    if classes < 2 or len(values) == 0 or values.min() < 0:
        return False
    sums = values.sum(axis=1, dtype=np.float64)
    rounding = 4 * float(np.finfo(np.float32).eps) * (classes + 2)
    return bool(np.abs(sums - 1).max() <= rounding)


def to_scores(values: FloatArray, kind: str, source: str) -> FloatArray:
    """Scores as `Prediction` has them, of a model's output.

    Args:
        values: `float32`, (images, classes); or (images, 1), which tells two classes apart: it is
            the logit or the probability of the second.
        kind: one of `KINDS`.
        source: the head's name, for errors.

    Returns:
        `float32`, (images, classes), two classes at least: logits or log-probabilities.

    Raises:
        MismatchError: if the values cannot be what `kind` says.
    """
    _check_range(values, kind, source)
    if values.shape[1] == 1:
        return _two_columns(values, kind)
    if kind == "probabilities":
        return np.asarray(np.log(np.maximum(values, _TINY)), np.float32)
    if kind == "sigmoid":
        inside = values.astype(np.float64).clip(_EDGE, 1 - _EDGE)
        return np.asarray(np.log(inside) - np.log1p(-inside), np.float32)
    return values


def _two_columns(values: FloatArray, kind: str) -> FloatArray:
    """Scores of two classes, of which `values`, (images, 1), says the second."""
    if kind == "logits":
        return np.concatenate([np.zeros_like(values), values], axis=1)
    second = np.exp(values) if kind == "log-probabilities" else values
    both = np.concatenate([1 - second, second], axis=1)
    return np.asarray(np.log(np.maximum(both, _TINY)), np.float32)


def _check_range(values: FloatArray, kind: str, source: str) -> None:
    low, high = float(values.min()), float(values.max())
    if kind in {"probabilities", "sigmoid"} and (low < -1e-3 or high > 1 + 1e-3):
        raise MismatchError(
            f"head {source!r} gives values from {low:.3g} to {high:.3g}, "
            f"which are not `outputs: {kind}`"
        )
    if kind == "log-probabilities" and high > 1e-3:
        raise MismatchError(
            f"head {source!r} gives values up to {high:.3g}; logarithms of probabilities "
            "are 0 or less: say `outputs: logits`"
        )
    if kind == "probabilities" and (total := float(values.sum(axis=1).max())) > 1.1:
        raise MismatchError(
            f"head {source!r} gives probabilities that sum to {total:.3g}: if each class has one "
            "by itself, say `outputs: sigmoid`"
        )


def log_probabilities(scores: Any, kind: str) -> Any:
    """Logarithms of the classes' probabilities, (images, classes), of a torch model's output."""
    import torch  # the scores are torch's

    scores = scores.flatten(1) if scores.ndim > 1 else scores.reshape(-1, 1)
    if scores.shape[1] == 1:
        if kind == "log-probabilities":
            scores = scores.exp()
        if kind != "logits":
            scores = torch.logit(scores, eps=_EDGE)
        return torch.cat([torch.zeros_like(scores), scores], 1).log_softmax(1)
    if kind == "probabilities":
        scores = scores.clamp_min(1e-12).log()
    elif kind == "sigmoid":
        scores = torch.logit(scores, eps=_EDGE)
    return scores.log_softmax(1)


# -- several outputs ------------------------------------------------------------------------


def by_name(found: Any) -> dict[str, Any] | None:
    """A model's outputs by name, or by number where they have none; None if it is one array.

    A mapping, a named tuple, or a tuple or list of arrays with two axes or more. What has no axes,
    such as a loss, is left out.
    """
    if hasattr(found, "_asdict"):
        found = found._asdict()
    if isinstance(found, Mapping):
        return {str(name): one for name, one in found.items() if getattr(one, "shape", ())}
    if isinstance(found, (tuple, list)):
        arrays = {str(i): one for i, one in enumerate(found) if getattr(one, "shape", ())}
        if any(len(one.shape) >= 2 for one in arrays.values()):
            return arrays
    return None


def choose(
    shapes: Mapping[str, Sequence[Any]], wanted: str | None, classes: int, source: str
) -> str:
    """Which of a model's outputs has the scores.

    Args:
        shapes: shape of each output by its name; sizes that are not known are None or text, and a
            shape that is not known at all is empty.
        wanted: the name that was asked for, or None: the only one that can be meant.
        classes: how many labels there are; 0 if there are none.
        source: the head's name, for errors.

    Raises:
        MismatchError: if there is no output of that name, or it is not clear which is meant; lists
            names and shapes.
    """
    listed = ", ".join(f"{name} {shape_text(shape)}" for name, shape in shapes.items())
    if wanted is not None:
        if wanted not in shapes:
            raise MismatchError(f"head {source!r} has no output {wanted!r}; it has {listed}")
        return wanted
    if len(shapes) == 1:
        return next(iter(shapes))
    possible = [name for name, shape in shapes.items() if _may_be_scores(shape)]
    if len(possible) > 1 and classes:
        columns = {classes, 1} if classes == 2 else {classes}
        possible = [
            name
            for name in possible
            if not shapes[name]
            or not isinstance(shapes[name][1], int)
            or shapes[name][1] in columns
        ]
    if len(possible) != 1:
        raise MismatchError(
            f"head {source!r} has several outputs, and which of them has the scores is not clear: "
            f"{listed}. Say `output: NAME`"
        )
    return possible[0]


def shape_text(shape: Sequence[Any]) -> str:
    """A shape as people write it; sizes that are not known are `?`."""
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"


def _may_be_scores(shape: Sequence[Any]) -> bool:
    """Whether it is (images, classes), perhaps with more axes of 1, or not known."""
    return not shape or (len(shape) >= 2 and all(side == 1 for side in shape[2:]))
