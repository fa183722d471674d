"""Encoders to several cuts from one exported graph."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper, numpy_helper
from onnx.utils import Extractor
from torch import Tensor, nn

from codecframe_vae.bottleneck.model import Normalise
from codecframe_vae.training.export import of_images


class Fronts:
    """A network up to some of its layers, as ONNX graphs from images as they are stored.

    Args:
        normalise: what the network does to images first.
        fronts: the network, from that to the outputs of the layers.
        layers: their names.
        images: some, `uint8`, (n, 3, height, width).
    """

    def __init__(
        self, normalise: Normalise, fronts: nn.Module, layers: Sequence[str], images: Tensor
    ) -> None:
        self._outputs = {layer: f"cut{number}" for number, layer in enumerate(layers)}
        network = nn.Sequential(normalise, fronts).eval()
        whole = of_images(network, list(self._outputs.values()), images)
        self._extractor = Extractor(onnx.load_from_string(whole))

    def graph(self, layer: str) -> bytes:
        """To the layer's output."""
        return bytes(self._extracted(layer).SerializeToString())

    def encoder(self, layer: str, project: nn.Conv2d) -> bytes:
        """To `latents`: a convolution of the layer's output without padding."""
        model = self._extracted(layer)
        assert project.bias is not None  # noqa: S101 - an encoder's
        weights = {"project.weight": project.weight, "project.bias": project.bias}
        for name, weight in weights.items():
            values = weight.detach().cpu().numpy()
            model.graph.initializer.append(numpy_helper.from_array(values, name))
        output = self._outputs[layer]
        node = helper.make_node(
            "Conv",
            [output, *weights],
            ["latents"],
            kernel_shape=list(project.kernel_size),
            strides=list(project.stride),
        )
        model.graph.node.append(node)
        del model.graph.output[:]
        shape: list[str | int | None] = ["count", project.out_channels, "rows", "columns"]
        made = helper.make_tensor_value_info("latents", onnx.TensorProto.FLOAT, shape)
        model.graph.output.append(made)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def _extracted(self, layer: str) -> onnx.ModelProto:
        found: onnx.ModelProto = self._extractor.extract_model(["images"], [self._outputs[layer]])
        return found
