"""Loops over coefficients: compiled by numba on arrays, where it is installed (`codecframe[fast]`),
or as they are, on lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    import numba  # type: ignore[import-untyped, unused-ignore]
except ImportError:
    COMPILED = False
else:
    COMPILED = True

loop: Callable[[Any], Any] = (
    numba.njit(cache=True, nogil=True, error_model="numpy")
    if COMPILED
    else lambda function: function
)
"""Decorator of a loop, and of each function that it calls."""


def ready(values: npt.NDArray[Any]) -> Any:
    """As loops take it."""
    return np.ascontiguousarray(values) if COMPILED else values.tolist()
