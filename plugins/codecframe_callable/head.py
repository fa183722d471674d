"""Heads from Python callables."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

import codecframe
from codecframe.head import Batch, check_scores
from codecframe.image import Image
from codecframe.preprocess import Preprocess


class CallableHead(codecframe.TaskHead):
    """A function as a classifier.

    Args:
        function: takes a list of images (`uint8`, (height, width, 3), RGB) or, with `preprocess`,
            one `float32` batch; returns scores, (images, classes).
        preprocess: what is done to images first; None hands them over as they are.
        labels: class names.
        name: what to call it.
    """

    summary = "a Python function"

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        preprocess: Preprocess | None = None,
        labels: Sequence[str] = (),
        name: str = "callable",
    ) -> None:
        self.name = name
        self.labels = tuple(labels)
        self._function = function
        self._preprocess = preprocess
        self.input_shape = preprocess.final_shape if preprocess else None

    def prepare(self, image: Image) -> Image:
        """The image at the geometry of the preprocessing."""
        return self._preprocess.geometry(image) if self._preprocess else image

    def predict(self, batch: Batch) -> codecframe.Prediction:
        """What the function says.

        Raises:
            MismatchError: if it returns anything but (images, classes) of finite numbers.
        """
        images = [codecframe.check_image(image) for image in batch]
        if not images:
            return codecframe.Prediction(np.zeros((0, len(self.labels)), np.float32), self.labels)
        given = self._preprocess.batch(images) if self._preprocess else images
        scores = check_scores(self._function(given), len(images), self.name)
        return codecframe.Prediction(scores, self.labels)


def import_function(spec: str) -> Callable[[Any], Any]:
    """The function that `package.module:function` names; modules in the current folder count.

    Raises:
        DataError: if there is no such module or function.
    """
    module, _, path = spec.partition(":")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        found = reduce(getattr, path.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise codecframe.DataError(spec, error) from None
    if not callable(found):
        raise codecframe.DataError(spec, f"is a {type(found).__name__}, not a function")
    return found


def made_head(
    function: Callable[[Any], Any], options: dict[str, Any], spec: str
) -> codecframe.TaskHead:
    """The head around a function; a function that is a `TaskHead` class makes its own."""
    if isinstance(function, type) and issubclass(function, codecframe.TaskHead):
        return function()
    declared = options.get("preprocess")
    return CallableHead(
        function,
        preprocess=None if declared is None else Preprocess.of(declared),
        labels=options.get("labels", ()),
        name=options.get("name", spec),
    )
