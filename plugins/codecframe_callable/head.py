"""Heads from Python functions."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import codecframe
from codecframe import Preprocess


class CallableHead(codecframe.ClassifierHead):
    """A function as a classifier.

    Args:
        function: takes a list of images of one size (`uint8`, (height, width, 3), RGB) or, with
            `preprocess`, the array that it makes; returns scores, (images, classes).
        preprocess: what is done to images first; None hands them over as they are.
        labels: class names, one an output, or none.
        name: what to call it; by default the function's name.
        outputs: `logits` or `probabilities`.
    """

    summary = "a Python function"

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        preprocess: Preprocess | Mapping[str, Any] | None = None,
        labels: Sequence[str] = (),
        name: str | None = None,
        outputs: str = "logits",
    ) -> None:
        name = name or str(getattr(function, "__name__", type(function).__name__))
        super().__init__(name, preprocess=preprocess, labels=labels, outputs=outputs)
        self._function = function
        self._as_they_are = preprocess is None

    def model_input(self, images: list[codecframe.Image]) -> Any:
        """The images as they are, or what the preprocessing makes of them."""
        return images if self._as_they_are else super().model_input(images)

    def run(self, values: Any) -> Any:
        """The function's result."""
        return self._function(values)


def open_callable(spec: str, options: codecframe.HeadOptions) -> codecframe.TaskHead:
    """The head around what `package.module:function` names; modules in the working folder count.

    What is a `TaskHead` already is taken as it is.

    Raises:
        DataError: if there is no such module or function.
    """
    module, _, path = spec.partition(":")
    try:
        found = reduce(getattr, path.split("."), _import(module))
    except (ImportError, AttributeError) as error:
        raise codecframe.DataError(spec, error) from None
    if isinstance(found, codecframe.TaskHead):
        return found
    if not callable(found):
        raise codecframe.DataError(spec, f"is a {type(found).__name__}, not a function")
    return CallableHead(found, **{**vars(options), "name": options.name or spec})


def _import(module: str) -> Any:
    """Import a module; a console script does not look into the working folder by itself."""
    folder = os.getcwd()
    if folder in sys.path:
        return importlib.import_module(module)
    sys.path.append(folder)
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(folder)
