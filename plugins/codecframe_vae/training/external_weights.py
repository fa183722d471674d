"""Takes a classifier's weights out of graphs.

`codecframe_vae.runtime.external_weights` puts them back.
"""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from codecframe_vae.runtime.external_weights import F32, ExternalWeight, weights_of_head


class Externalizer:
    """Weights that need not be stored.

    Args:
        head: the head that has them; empty: there are none.
    """

    def __init__(self, head: str = "") -> None:
        self.head = head
        self._weights = weights_of_head(head) if head else {}
        self._keys = {_digest(weight): key for key, weight in self._weights.items()}

    def key(self, constant: onnx.TensorProto) -> str | None:
        """The name of a constant in the classifier, or None if it is the graph's own."""
        return self._keys.get(_digest(numpy_helper.to_array(constant)))

    def taken_out(self, graph: bytes) -> tuple[bytes, dict[str, ExternalWeight]]:
        """(the graph without their values, references by the constants' names)."""
        if not self._keys:
            return graph, {}
        model = onnx.load_from_string(graph)
        references = {}
        for constant in model.graph.initializer:
            key = self.key(constant)
            if key is None:
                continue
            references[constant.name] = ExternalWeight.of(key, self._weights[key])
            constant.ClearField("raw_data")
            constant.ClearField("float_data")
            constant.data_location = TensorProto.EXTERNAL
            place = constant.external_data.add()
            place.key, place.value = "location", key
        return bytes(model.SerializeToString()), references


def _digest(weight: F32) -> bytes:
    """Of type, shape and values."""
    values = np.ascontiguousarray(weight)
    said = f"{values.dtype.str}|{values.shape}|".encode()
    return hashlib.sha256(said + values.tobytes()).digest()
