"""A learned head as an ONNX graph, whose learned weights can be changed in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from codecframe_vae.learn.head import LearnedHead
from codecframe_vae.training.export import SMALL, exported

_ANY = torch.export.Dim.AUTO
_PREFIX = "head."


class _Scores(nn.Module):
    """`latents` and `shift`, float32, to `logits`."""

    def __init__(self, head: LearnedHead, said: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.head, self._said = head, said

    def forward(self, latents: Tensor, shift: Tensor) -> Tensor:
        """Logarithms of the classes' probabilities, or raw outputs."""
        return self._said(self.head(latents, shift)[1])


def learned_graph(head: LearnedHead, said: Callable[[Tensor], Tensor], latents: Tensor) -> bytes:
    """The head as it is now; what it does not learn is stored in 16 bits.

    Args:
        head: in evaluation mode.
        said: what is compared, of its scores.
        latents: some, `float32`, (2, C, height, width); later ones are of this size.
    """
    given = {"latents": latents, "shift": head.shifts.detach()[[0, 0]]}
    batches = {name: {0: _ANY} for name in given}
    graph = exported(_Scores(head, said).eval(), given, batches, "logits")
    return _halved(graph, {_PREFIX + name for name in head.learned()})


def with_weights(graph: bytes, weights: Mapping[str, Tensor]) -> bytes:
    """The graph with other learned weights.

    Raises:
        KeyError: if it has no weight of one of these names.
    """
    model = onnx.load_from_string(graph)
    known = {constant.name: constant for constant in model.graph.initializer}
    for name, weight in weights.items():
        values = np.ascontiguousarray(weight.detach().cpu().numpy(), np.float32)
        constant = known[_PREFIX + name]
        constant.CopyFrom(numpy_helper.from_array(values, constant.name))
    return bytes(model.SerializeToString())


def _halved(graph: bytes, learned: set[str]) -> bytes:
    """A graph whose large constants are `float16`, brought back to `float32` when it is loaded."""
    model = onnx.load_from_string(graph)
    casts: list[Any] = []
    for constant in list(model.graph.initializer):
        large = constant.data_type == TensorProto.FLOAT and np.prod(constant.dims) >= SMALL
        if not large or constant.name in learned:
            continue
        weight = numpy_helper.to_array(constant)
        if np.abs(weight).max(initial=0) > np.finfo(np.float16).max:
            continue
        name = f"{constant.name}.float16"
        casts.append(helper.make_node("Cast", [name], [constant.name], to=TensorProto.FLOAT))
        model.graph.initializer.remove(constant)
        model.graph.initializer.append(numpy_helper.from_array(weight.astype(np.float16), name))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *rest])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
