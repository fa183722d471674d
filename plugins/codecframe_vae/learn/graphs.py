"""A learned head as an ONNX graph, whose learned weights keep their names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from torch import Tensor

from codecframe_vae.bottleneck.graphs import OfLatents
from codecframe_vae.learn.head import LearnedHead
from codecframe_vae.training.export import SMALL, Smaller, compacted, exported

LEARNED = "head."
"""What the names of learned weights begin with, in the graph."""


def learned_graph(head: LearnedHead, said: Callable[[Tensor], Tensor], latents: Tensor) -> bytes:
    """The head as it is now; what it does not learn is stored in 16 bits.

    Args:
        head: in evaluation mode.
        said: what is compared, of its scores.
        latents: some, `float32`, (2, C, height, width); later ones are of this size.
    """
    given = {"latents": latents, "shift": head.shifts.detach()[[0, 0]]}
    network = OfLatents(lambda latents, shift: said(head(latents, shift)[1]), head=head).eval()
    learned = {LEARNED + name for name in head.learned()}

    def smaller(constant: onnx.TensorProto) -> Smaller | None:
        large = constant.data_type == TensorProto.FLOAT and np.prod(constant.dims) >= SMALL
        if not large or constant.name in learned:
            return None
        weight = numpy_helper.to_array(constant)
        fits = np.abs(weight).max(initial=0) <= np.finfo(np.float16).max
        return (weight.astype(np.float16), None) if fits else None

    return compacted(onnx.load_from_string(exported(network, given, "logits")), smaller)
