"""A learned head as an ONNX graph, whose learned weights can be changed in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from torch import Tensor

from codecframe_vae.bottleneck.graphs import OfLatents
from codecframe_vae.learn.head import LearnedHead
from codecframe_vae.runtime.graphs import with_constants
from codecframe_vae.training.export import SMALL, Smaller, compacted, exported

_PREFIX = "head."


def learned_graph(head: LearnedHead, said: Callable[[Tensor], Tensor], latents: Tensor) -> bytes:
    """The head as it is now; what it does not learn is stored in 16 bits.

    Args:
        head: in evaluation mode.
        said: what is compared, of its scores.
        latents: some, `float32`, (2, C, height, width); later ones are of this size.
    """
    given = {"latents": latents, "shift": head.shifts.detach()[[0, 0]]}
    network = OfLatents(lambda latents, shift: said(head(latents, shift)[1]), head=head).eval()
    learned = {_PREFIX + name for name in head.learned()}

    def smaller(constant: onnx.TensorProto) -> Smaller | None:
        large = constant.data_type == TensorProto.FLOAT and np.prod(constant.dims) >= SMALL
        if not large or constant.name in learned:
            return None
        weight = numpy_helper.to_array(constant)
        fits = np.abs(weight).max(initial=0) <= np.finfo(np.float16).max
        return (weight.astype(np.float16), None) if fits else None

    return compacted(onnx.load_from_string(exported(network, given, "logits")), smaller)


def with_weights(graph: bytes, weights: Mapping[str, Tensor]) -> bytes:
    """The graph with other learned weights.

    Raises:
        KeyError: if it has no weight of one of these names.
    """
    return with_constants(
        graph, {_PREFIX + name: weight.detach().cpu().numpy() for name, weight in weights.items()}
    )
