"""Heads from torch modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import codecframe
from codecframe.head import Batch, check_scores
from codecframe.image import Image
from codecframe.preprocess import Preprocess
from codecframe.registry import require

if TYPE_CHECKING:
    import torch

_INSTALL = "codecframe[learned]"
_CHUNK = 64
"""Images a forward pass."""


class TorchHead(codecframe.TaskHead):
    """A torch module as a classifier.

    Args:
        module: takes `float32` images, (n, 3, height, width); returns scores, (n, classes).
        preprocess: what is done to images first.
        labels: class names.
        name: what to call it.
        device: where it runs.
    """

    summary = "a torch module"
    requires = {"torch": _INSTALL}  # noqa: RUF012

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        preprocess: Preprocess | Mapping[str, Any] | None = None,
        labels: Sequence[str] = (),
        name: str = "torch",
        device: str = "cpu",
    ) -> None:
        self.name = name
        self.labels = tuple(labels)
        self._device = device
        self._module = module
        if isinstance(getattr(module, "training", None), bool) and module.training:
            module.eval()
        self._preprocess = Preprocess.of(preprocess)
        self.input_shape = self._preprocess.final_shape

    def prepare(self, image: Image) -> Image:
        """The image at the geometry of the preprocessing."""
        return self._preprocess.geometry(image)

    def predict(self, batch: Batch) -> codecframe.Prediction:
        """What the module says.

        Raises:
            MismatchError: if its output is not (images, classes), or it cannot take these images.
        """
        images = [codecframe.check_image(image) for image in batch]
        parts = [
            self._run(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)
        ]
        scores = np.concatenate(parts) if parts else np.zeros((0, len(self.labels)), np.float32)
        return codecframe.Prediction(scores, self.labels)

    def _run(self, images: list[Image]) -> Any:
        torch = require("torch", _INSTALL)
        try:
            values = torch.from_numpy(self._preprocess.batch(images)).to(self._device)
            with torch.inference_mode():
                output = self._module(values)
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else error
            raise codecframe.MismatchError(f"head {self.name!r}: {reason}") from None
        scores = output.detach().to("cpu", torch.float32).numpy()
        return check_scores(scores, len(images), self.name)


def load_module(path: str) -> Any:
    """The module in a torch.export (`.pt2`) or TorchScript (`.pt`, `.ts`) file.

    Pickled modules and bare state dictionaries are refused: unpickling runs whatever a file says.

    Raises:
        DataError: if the file holds neither.
    """
    torch = require("torch", _INSTALL)
    if not Path(path).is_file():
        raise codecframe.DataError(path, "no such file")
    try:
        if path.lower().endswith(".pt2"):
            return torch.export.load(path).module()
        return torch.jit.load(path, map_location="cpu")
    except Exception as error:  # torch raises many kinds
        raise codecframe.DataError(
            path,
            "is no torch.export or TorchScript file; of weights alone, make one with "
            f"torch.export.save ({type(error).__name__})",
        ) from None


def made_head(module: Any, options: dict[str, Any], spec: str) -> TorchHead:
    """The head around a module, with the options of a head description."""
    return TorchHead(module, **{"name": Path(spec).stem, **options})
