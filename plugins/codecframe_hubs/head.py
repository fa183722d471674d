"""Heads from models of hubs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import codecframe
from codecframe import Preprocess, require

INSTALL = "codecframe[hubs]"


class HubHead(codecframe.ClassifierHead):
    """A classifier that a hub's package made, a torch module.

    Args:
        module: from `float32` images, (n, 3, height, width), to logits; a `torch.nn.Module`, or one
            whose result has them as `logits`.
        spec: what users type.
        preprocess: as the model's configuration has it, unless the user says otherwise.
        options: what the user says: name, labels and so on.
        labels: as the model's configuration has them.
    """

    summary = "a model of a hub"
    requires = {"torch": INSTALL}  # noqa: RUF012

    def __init__(
        self,
        module: Any,
        spec: str,
        preprocess: Preprocess,
        labels: tuple[str, ...],
        options: codecframe.HeadOptions,
    ) -> None:
        said = vars(options) | {"name": options.name or spec, "labels": options.labels or labels}
        super().__init__(**{**said, "preprocess": options.preprocess or preprocess})
        self._module: Callable[[Any], Any] = module.eval().requires_grad_(requires_grad=False)

    def torch_model(self) -> Callable[[Any], Any]:
        """The module."""
        return self._module

    def run(self, values: Any) -> Any:
        """Scores of the classes."""
        torch = require("torch", INSTALL)
        with torch.inference_mode():
            return self.pick(self._module(torch.from_numpy(values))).numpy()
