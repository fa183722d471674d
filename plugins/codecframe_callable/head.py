"""Heads from Python functions."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Self

import codecframe
from codecframe import Preprocess


class CallableHead(codecframe.ClassifierHead):
    """A function as a classifier.

    Args:
        function: takes a list of images of one size (`uint8`, (height, width, 3), RGB) or, with
            `preprocess`, the array that it makes; returns scores, (images, classes).
        preprocess: what is done to images first; None hands them over as they are.
        labels: class names, one an output, or none; a path is a file with one a line.
        name: what to call it; by default the function's name.
        outputs: what the function returns: see `codecframe.ClassifierHead`.
        output: which output has the scores, where it returns a dict or a tuple.
    """

    summary = "a Python function"

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        preprocess: Preprocess | Mapping[str, Any] | None = None,
        labels: Sequence[str] | str | Path = (),
        name: str | None = None,
        outputs: str | None = None,
        output: str | int | None = None,
    ) -> None:
        name = name or str(getattr(function, "__name__", type(function).__name__))
        super().__init__(name, preprocess=preprocess, labels=labels, outputs=outputs, output=output)
        self._function = function
        self._as_they_are = preprocess is None

    def model_input(self, images: list[codecframe.Image]) -> Any:
        """The images as they are, or what the preprocessing makes of them."""
        return images if self._as_they_are else super().model_input(images)

    def run(self, values: Any) -> Any:
        """The function's result, or that of its results which has the scores."""
        return self.pick(self._function(values))

    def with_preprocess(self, preprocess: Preprocess | Mapping[str, Any]) -> Self:
        """See `codecframe.ClassifierHead`.

        Raises:
            MismatchError: if the function does to images what it does by itself.
        """
        if self._as_they_are:
            raise codecframe.MismatchError(
                f"head {self.name!r} takes images as they are: its preprocessing is its own code"
            )
        return super().with_preprocess(preprocess)

    def details(self) -> dict[str, Any]:
        """See `codecframe.TaskHead`."""
        found = super().details()
        if not self._as_they_are:
            return found
        inputs = ["a list of images, uint8, (height, width, 3), RGB"]
        return {"inputs": inputs, **found, "preprocess": {}}

    def assumptions(self) -> list[str]:
        """See `codecframe.ClassifierHead`."""
        found = super().assumptions()
        return [one for one in found if not (self._as_they_are and one.startswith("pixels"))]


def open_callable(spec: str, options: codecframe.HeadOptions) -> codecframe.TaskHead:
    """The head around what `package.module:function` names; modules in the working folder count.

    What is a `TaskHead` already is taken as it is.

    Raises:
        DataError: if there is no such module or function.
    """
    module, _, path = spec.partition(":")
    with codecframe.as_data_error(spec, ImportError, AttributeError):
        found = reduce(getattr, path.split("."), _import(module))
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


def module_hint(path: str, function: str) -> str:
    """What to write where somebody named a Python file, without its `.py`, and perhaps a function.

    Modules are found from the working folder, so a file below it is `folder.module`.
    """
    full, here = os.path.abspath(path), os.getcwd()
    below = full.startswith(os.path.join(here, ""))
    parts = (os.path.relpath(full, here) if below else os.path.basename(full)).split(os.sep)
    said = f"is a file; a function goes by its module: {'.'.join(parts)}:{function or 'FUNCTION'}"
    return said if below else f"{said}, in the folder {os.path.dirname(full)} or with PYTHONPATH"
