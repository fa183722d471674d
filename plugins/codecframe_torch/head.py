"""Heads from torch modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import codecframe
from codecframe import Preprocess, require
from codecframe_torch.ends import read_kind

if TYPE_CHECKING:
    from torch.nn import Module

INSTALL = "codecframe[train]"


class TorchHead(codecframe.ClassifierHead):
    """A torch module as a classifier.

    Args:
        module: takes the tensor that `preprocess` makes, (images, 3, height, width) unless it says
            otherwise; returns a tensor of scores, (images, classes). A `torch.nn.Module` is
            switched to evaluation.
        preprocess: from images to the module's input.
        labels: class names, one an output, or none; a path is a file with one a line.
        name: what to call it; by default the module's class.
        outputs: what the module gives, see `codecframe.ClassifierHead`. By default a softmax or
            sigmoid that it visibly ends in says so.
        output: which output has the scores, where the module gives a dict or a tuple.
        batch_size: images that the module takes at a time, at most.
        pad: whether it takes exactly so many.
        device: where the module is.
    """

    summary = "a torch module"
    requires = {"torch": INSTALL}  # noqa: RUF012

    def __init__(
        self,
        module: Callable[[Any], Any],
        *,
        preprocess: Preprocess | Mapping[str, Any] | None = None,
        labels: Sequence[str] | str | Path = (),
        name: str | None = None,
        outputs: str | None = None,
        output: str | int | None = None,
        batch_size: int = 32,
        pad: bool = False,
        device: str = "cpu",
    ) -> None:
        super().__init__(
            name or type(module).__name__,
            preprocess=preprocess,
            labels=labels,
            outputs=outputs,
            output=output,
            batch_size=batch_size,
            pad=pad,
        )
        if getattr(module, "training", False):
            with suppress(NotImplementedError):  # what was exported is fixed already
                cast("Module", module).eval()
        self._module = module
        self._device = device
        self._channels_last = self.preprocess.layout == "nchw"
        self.learn_outputs(*read_kind(module))

    def torch_model(self) -> Callable[[Any], Any]:
        """The module; one on another device gets its input brought there."""
        if self._device == "cpu":
            return self._module
        return lambda values: self._module(values.to(self._device))

    def run(self, values: Any) -> Any:
        """The module's output."""
        torch = require("torch", INSTALL)
        tensor = torch.from_numpy(values).to(self._device)
        with torch.inference_mode():
            scores = self.pick(self._run(tensor, torch.channels_last))
            return scores.to("cpu", torch.float32).numpy()

    def with_preprocess(self, preprocess: Preprocess | Mapping[str, Any]) -> Self:
        """See `codecframe.ClassifierHead`."""
        made = super().with_preprocess(preprocess)
        made._channels_last = made.preprocess.layout == "nchw"
        return made

    def _run(self, values: Any, channels_last: Any) -> Any:
        """The module's output for a tensor: with channels last in memory convolutions are faster,
        but a module that calls `view` may refuse that.
        """
        if values.ndim != 4 or not self._channels_last:
            return self._module(values)
        try:
            return self._module(values.contiguous(memory_format=channels_last))
        except RuntimeError:
            scores = self._module(values)  # raises again whatever else is wrong
            self._channels_last = False
            return scores
