"""Torch modules as models of heads of any task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import codecframe
from codecframe import Preprocess, require

INSTALL = "codecframe[train]"


class TorchModel:
    """A torch module that takes a batch of images; a `codecframe.Model`.

    Args:
        module: takes a tensor as `preprocess` makes it; gives a tensor, several as a tuple or a
            mapping, or such a mapping for each image in a list.
        name: what its head is called.
        spec: its file; empty where it has none.
        usual: what is known of the preprocessing, where nothing else is said.
        shape: (height, width) of images that it insists on.
        batch_size: images that it takes at a time.
        pad: whether exactly so many.

    Examples:
        >>> import torch  # doctest: +SKIP
        >>> model = TorchModel(torch.nn.Flatten(), "flat")  # doctest: +SKIP
        >>> head = codecframe.get_task("embedding").head(model, {})  # doctest: +SKIP
    """

    def __init__(
        self,
        module: Callable[[Any], Any],
        name: str,
        *,
        spec: str = "",
        usual: Mapping[str, str] | None = None,
        shape: tuple[int, int] | None = None,
        batch_size: int = 1,
        pad: bool = False,
    ) -> None:
        if getattr(module, "training", False) and hasattr(module, "eval"):
            with suppress(NotImplementedError):  # what was exported is fixed already
                module.eval()
        self.name, self.spec = name, spec
        self.shapes: Mapping[str, Any] = {}
        self.batch_size, self.pad = batch_size, pad
        self._module = module
        self._usual, self._shape = dict(usual or {}), shape

    def preprocess(self, given: Mapping[str, Any] | None) -> Preprocess:
        """What was asked for, completed by what is known of the module's input."""
        return Preprocess.for_input(given, self._shape, **self._usual)

    def run(self, values: Any) -> dict[str, Any]:
        """The outputs by name, or by number where they have none."""
        torch = require("torch", INSTALL)
        with torch.inference_mode():
            found = self._module(torch.from_numpy(values))
        named = by_name(found)
        return {name: one.detach().to("cpu").numpy() for name, one in named.items()}

    def torch_model(self) -> Any:
        """The module, its outputs by name; a module as well."""
        from codecframe_torch.named import ByName

        return ByName(self._module)

    def details(self) -> dict[str, Any]:
        """The module's class."""
        return {"module": type(self._module).__name__}


def by_name(found: Any) -> dict[str, Any]:
    """Tensors by name. TorchScript's detectors give (losses, a mapping for each image)."""
    if hasattr(found, "_asdict"):
        found = found._asdict()
    if isinstance(found, (tuple, list)) and found and isinstance(found[-1], (list, Mapping)):
        return by_name(found[-1])
    if isinstance(found, (tuple, list)):
        found = {str(number): one for number, one in enumerate(found)}
    if not isinstance(found, Mapping):
        found = {"0": found}
    named = {str(name): one for name, one in found.items() if hasattr(one, "detach")}
    if not named:
        raise codecframe.MismatchError("the module gives no tensors")
    return named
