"""A classifier as a graph that also gives what its last layer sees."""

from __future__ import annotations

from torch import Tensor, fx, nn

import codecframe
from codecframe_vae.bottleneck.model import Normalise
from codecframe_vae.bottleneck.split import finish, graph_of, origins

_LAYERS = ("linear", "addmm", "mm", "matmul", "conv2d", "convolution")
"""Operations with kernels: the last one makes scores of features."""


class Classifier(nn.Module):
    """Images 0..255, `uint8`, (n, 3, height, width), to (scores, features of each image).

    Its parameters have the names that they have in the module.

    Args:
        module: the classifier.
        preprocess: what it does to images.
        example: images, (2 or more, 3, height, width).

    Raises:
        MismatchError: if torch cannot follow what the module does.
    """

    def __init__(
        self, module: nn.Module, preprocess: codecframe.Preprocess, example: Tensor
    ) -> None:
        super().__init__()
        self.normalise = Normalise(preprocess)
        self.graph = graph_of(module, self.normalise(example[:2]))
        output = self.graph.graph.output_node().args[0]
        finish(self.graph, (output, _features(self.graph)))

    def forward(self, images: Tensor) -> tuple[object, Tensor]:
        """(what the module gives; features, (n, length))."""
        scores, features = self.graph(self.normalise(images))
        (only,) = scores if isinstance(scores, (tuple, list)) and len(scores) == 1 else (scores,)
        if isinstance(only, Tensor):
            only = only.float()  # logarithms of bfloat16 would be rough
        return only, features.flatten(1)


def _features(graph: fx.GraphModule) -> fx.Node:
    """What the last operation with a kernel takes."""
    for node in reversed(list(graph.graph.nodes)):
        name = getattr(getattr(node.target, "overloadpacket", None), "__name__", "")
        if name in _LAYERS:
            for one in node.args:
                if isinstance(one, fx.Node) and any(n.op == "placeholder" for n in origins(one)):
                    return one
    raise codecframe.MismatchError("the classifier has no layer with weights")
