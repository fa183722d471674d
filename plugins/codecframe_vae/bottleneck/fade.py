"""A trained head that fades to the classifier as it was, as the rate rises.

Training helps where little is sent, and costs where the features arrive nearly as they were: then
the way back that is linear, and the layers behind it untouched, say what the classifier says. So a
faded head takes one more number with each level, 1 for all that was learned and 0 for nothing of
it; held-out images choose it. Encoder, tables and payloads stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

import codecframe
from codecframe_vae.entropy.walk import F32
from codecframe_vae.runtime.model import Model, open_session
from codecframe_vae.runtime.modelfile import Arrays

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of what was learned: those that are tried at each level."""
_TAIL = "_tail."
_RIDGE = 1e-6
_BATCH = 16


@dataclass(frozen=True)
class Linear:
    """The linear way back from latents to features.

    Attributes:
        weight: (features, latents).
        bias: (features,).
    """

    weight: F32
    bias: F32

    @classmethod
    def of(cls, latents: F32, features: F32) -> Linear:
        """That of least squared error.

        Args:
            latents: real ones, (n, C, height, width).
            features: at the same squares, (n, features, height, width).
        """
        given, wanted = (np.moveaxis(x, 1, 0).reshape(x.shape[1], -1) for x in (latents, features))
        means = [x.mean(1, keepdims=True, dtype=np.float64) for x in (given, wanted)]
        given, wanted = given - means[0], wanted - means[1]
        moments = given @ given.T
        moments[np.diag_indices_from(moments)] *= 1 + _RIDGE
        weight = np.linalg.solve(moments, given @ wanted.T).T
        bias = means[1] - weight @ means[0]
        return cls(weight.astype(np.float32), bias[:, 0].astype(np.float32))


def faded(graph: bytes, linear: Linear, originals: Mapping[str, F32], width: int) -> bytes:
    """A head's graph with `linear` beside its adapter, and with the classifier's own biases.

    Args:
        graph: as `graphs.head_graph` makes it; kernels behind the cut are the classifier's own.
        linear: the way back.
        originals: the classifier's weights behind the cut, by the graph's names.
        width: of its input `shift`; that of the new graph is wider by 1 + latents: the share of
            what was learned, and a factor for each latent on the linear way.

    Raises:
        MismatchError: if kernels behind the cut were learned, too.
    """
    model = onnx.load_from_string(graph)
    editor = _Editor(model, width, linear.weight.shape[1])
    editor.restore(linear)
    constants = {c.name: c for c in model.graph.initializer if not c.external_data}
    for name, original in originals.items():
        constant = constants.get(_TAIL + name)
        if constant is None:
            continue
        learned = numpy_helper.to_array(constant)
        if np.array_equal(learned, original):
            continue
        if learned.ndim != 1:
            raise codecframe.MismatchError(f"{name} was learned: only biases can fade")
        constant.CopyFrom(numpy_helper.from_array(original, constant.name))
        editor.shift(constant.name, learned - original)
    editor.finish()
    return bytes(model.SerializeToString())


class _Editor:
    """Puts operations into a head's graph."""

    def __init__(self, model: onnx.ModelProto, width: int, latents: int) -> None:
        self._model, self._graph = model, model.graph
        self._first: list[Any] = []
        self._after: dict[str, list[Any]] = {}
        shift = next(one for one in self._graph.input if one.name == "shift")
        shift.type.tensor_type.shape.dim[1].dim_value = width + 1 + latents
        for node in self._graph.node:
            node.input[:] = ["shift.adapter" if one == "shift" else one for one in node.input]
        axes = self._constant("shift.axes", np.array([2, 3]))
        parts = ("shift.adapter", "shift.share", "shift.factors")
        sizes = self._constant("shift.sizes", np.array([width, 1, latents]))
        self._first.append(helper.make_node("Split", ["shift", sizes], parts, axis=1))
        for name in parts[1:]:
            self._first.append(helper.make_node("Unsqueeze", [name, axes], [f"{name}.map"]))

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def restore(self, linear: Linear) -> None:
        """Features: those of the linear way, and the share of what the adapter adds to them."""
        cut = self._features()
        weight = self._constant("linear.weight", linear.weight[:, :, None, None])
        bias = self._constant("linear.bias", linear.bias)
        made, learned = "linear.features", f"{cut}.learned"
        for node in self._graph.node:
            node.output[:] = [learned if one == cut else one for one in node.output]
        self._after[learned] = [
            helper.make_node("Mul", ["latents", "shift.factors.map"], ["linear.latents"]),
            helper.make_node("Conv", ["linear.latents", weight, bias], [made]),
            helper.make_node("Sub", [learned, made], ["linear.other"]),
            helper.make_node("Mul", ["linear.other", "shift.share.map"], ["linear.share"]),
            helper.make_node("Add", [made, "linear.share"], [cut]),
        ]

    def _features(self) -> str:
        """Name of the adapter's output: what the first kernel of the tail takes."""
        for node in self._graph.node:
            if len(node.input) > 1 and node.input[1].startswith(_TAIL):
                return str(node.input[0])
        raise codecframe.MismatchError("the head has no layers behind the cut")

    def shift(self, bias: str, by: F32) -> None:
        """Add the share of `by` to what the layer with a bias puts out."""
        node = next(node for node in self._graph.node if bias in node.input)
        is_map = node.op_type == "Conv"
        name = self._constant(f"{bias}.learned", by[None, :, None, None] if is_map else by[None])
        made, before, added = node.output[0], f"{node.output[0]}.before", f"{bias}.share"
        node.output[0] = before
        share = "shift.share.map" if is_map else "shift.share"
        self._after[before] = [
            helper.make_node("Mul", [name, share], [added]),
            helper.make_node("Add", [before, added], [made]),
        ]

    def finish(self) -> None:
        """Put the new operations in their places."""
        nodes = self._first
        for node in self._graph.node:
            nodes.append(node)
            for output in node.output:
                nodes += self._after.get(output, [])
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del self._graph.node[:]
        self._graph.node.extend(copies)


def with_fade(
    model: Model,
    features: F32,
    originals: Mapping[str, F32],
    held: F32,
    wanted: F32,
    told: Callable[[str], None],
) -> tuple[Arrays, list[float]]:
    """A model file's tensors with a head that fades, and its share at each level.

    Args:
        model: the file, as it was trained.
        features: at the cut, of the images that `linear` is fitted to.
        originals: as those of `faded`.
        held: features of held-out images, which choose.
        wanted: what the classifier says of these: logarithms of probabilities, (n, classes).
        told: is told of every level.
    """
    arrays = dict(model.arrays)
    project = _projection(model)
    linear = Linear.of(project(features), features)
    width = arrays["levels.head"].shape[1]
    graph = faded(model.graph("head"), linear, originals, width)
    session = open_session(graph, "head", model.external("head"))
    fitted, real = project(features), project(held)
    rows, shares = [], []
    for level in range(model.manifest.levels):
        factors = _factors(model, fitted, level)
        sent = model.arriving(real, [level] * len(real))

        def loss(
            share: float, sent: F32 = sent, factors: F32 = factors, level: int = level
        ) -> float:
            row = _row(arrays["levels.head"][level], share, factors)
            return _divergence(session, sent, row, wanted)

        share = min(SHARES, key=loss)
        rows.append(_row(arrays["levels.head"][level], share, factors))
        shares.append(share)
        told(f"level {level}: {share:g}")
    arrays["head.onnx"] = np.frombuffer(graph, np.uint8)
    arrays["levels.head"] = np.stack(rows)
    return arrays, shares


def _row(shift: F32, share: float, factors: F32) -> F32:
    return np.concatenate([shift, np.array([share], np.float32), factors]).astype(np.float32)


def _factors(model: Model, real: F32, level: int) -> F32:
    """What dequantised latents are multiplied by for the least squared error, (C,)."""
    sent = model.arriving(real, [level] * len(real))
    power = np.square(sent, dtype=np.float64).sum((0, 2, 3))
    shared = (sent * real).sum((0, 2, 3), dtype=np.float64)
    return np.where(power > 0, shared / np.maximum(power, 1e-12), 1).astype(np.float32)


def _divergence(session: Any, sent: F32, row: F32, wanted: F32) -> float:
    """Mean Kullback-Leibler divergence from the classifier, in nats."""
    total = 0.0
    for at in range(0, len(sent), _BATCH):
        some = sent[at : at + _BATCH]
        logs = session.run(None, {"latents": some, "shift": np.tile(row, (len(some), 1))})[0]
        aim = wanted[at : at + _BATCH]
        total += float((np.exp(aim) * (aim - logs)).sum())
    return total / len(sent)


def _projection(model: Model) -> Callable[[F32], F32]:
    """From features to real latents, as the encoder's last layer has it."""
    graph = onnx.load_from_string(model.graph("encoder")).graph
    known = {c.name: c for c in graph.initializer if not c.external_data}
    weight, bias = (
        next(numpy_helper.to_array(c) for name, c in known.items() if name.endswith(end))
        for end in ("project.weight", "project.bias")
    )
    matrix = weight[:, :, 0, 0]

    def project(features: F32) -> F32:
        found = np.einsum("kc,nchw->nkhw", matrix, features, optimize=True)
        return np.asarray(found + bias[:, None, None], np.float32)

    return project
