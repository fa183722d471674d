"""Several tensors that cross a cut, packed as one: behind the first skip connection that goes on to
the end (feature pyramids, detectors' necks, U-Nets), no tensor alone is all that later layers see.

There the graph gets one node that holds them all, finer maps as more channels of the coarsest
(space to depth), and nodes that take them out again. It does what it did, and can be cut there as
anywhere else.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from codecframe_vae.bottleneck.split import copied
from codecframe_vae.learn.places import crossings

_MOST = 4
"""Tensors that are packed, at most."""
_WIDEST = 4096
"""Channels of what is packed, at most."""
_KEPT = 6
"""Places that are made, at most."""
_NAME = "packed_"


def with_packed(graph: fx.GraphModule) -> fx.GraphModule:
    """The graph, changed in place: behind the last place where one tensor is all, places where
    fewer numbers cross than beside them pack them as one.

    Args:
        graph: as `split.graph_of` makes it.
    """
    crossed = [(node, live) for node, live in crossings(graph) if live]
    alone = [at for at, (_, live) in enumerate(crossed) if len(live) == 1 and _shape(live[0])]
    last = max(alone, default=-1)
    behind = crossed[last + 1 :]
    sizes = [sum(map(_numbers, live)) if _factors(live) else math.inf for _, live in behind]
    lowest = [at for at in range(len(sizes)) if _is_lowest(sizes, at)]
    kept = [lowest[at] for at in spaced(len(lowest), _KEPT)]
    now: dict[fx.Node, fx.Node] = {}
    for number, at in enumerate(kept):
        _pack(graph, *behind[at], now, f"{_NAME}{number}")
    graph.recompile()
    return graph


def bypassed(graph: fx.GraphModule, but: str = "") -> fx.GraphModule:
    """A copy in which later nodes take what was packed as it was before: only the node `but` packs
    what they see. Packing and taking out take time.
    """
    graph = copied(graph)
    for packed in graph.graph.nodes:
        if is_packed(packed.name) and packed.name != but:
            for part, source in zip(packed.users, packed.args[0], strict=True):
                (taken_out,) = part.users
                taken_out.replace_all_uses_with(source.args[0])
    graph.recompile()
    return graph


def spaced(total: int, count: int) -> list[int]:
    """At most `count` places of `total`, evenly spaced, the first and the last among them."""
    return sorted({round(at) for at in np.linspace(0, total - 1, min(total, count)).tolist()})


def is_packed(node: str) -> bool:
    """Whether a node of that name packs others."""
    return node.startswith(_NAME)


def _is_lowest(sizes: Sequence[float], at: int) -> bool:
    """Whether fewer numbers cross there than beside it; of neighbours that are alike, the last."""
    before, after = sizes[at - 1] if at else math.inf, [*sizes[at + 1 :], math.inf][0]
    return sizes[at] <= before and sizes[at] < after


def _shape(node: fx.Node) -> tuple[int, int, int] | None:
    """(channels, height, width) of a node's maps; None where it makes no maps of one size."""
    value = node.meta.get("val")
    if not isinstance(value, Tensor) or value.ndim != 4 or not value.is_floating_point():
        return None
    channels, height, width = value.shape[1:]
    is_known = all(isinstance(side, int) for side in (channels, height, width))
    return (channels, height, width) if is_known else None


def _numbers(node: fx.Node) -> int:
    value = node.meta["val"]
    return int(torch.Size(value.shape[1:]).numel()) if isinstance(value, Tensor) else 0


def _factors(live: Sequence[fx.Node]) -> list[int]:
    """How many times finer each tensor's maps are than the coarsest; none where they do not fit, or
    are too many.
    """
    shapes = [shape for node in live if (shape := _shape(node))]
    if not 2 <= len(live) <= _MOST or len(shapes) < len(live):
        return []
    height, width = (min(shape[axis] for shape in shapes) for axis in (1, 2))
    found = [rows // height for _, rows, _ in shapes]
    fits = all(
        (rows, columns) == (height * factor, width * factor)
        for factor, (_, rows, columns) in zip(found, shapes, strict=True)
    )
    wide = sum(shape[0] * factor**2 for factor, shape in zip(found, shapes, strict=True))
    return found if fits and wide <= _WIDEST else []


def _pack(
    graph: fx.GraphModule,
    after: fx.Node,
    live: Sequence[fx.Node],
    now: dict[fx.Node, fx.Node],
    name: str,
) -> None:
    """Pack what is live after a node; `now` says what took a node's place before, and is told."""
    order = {node: number for number, node in enumerate(graph.graph.nodes)}
    sources = [now.get(node, node) for node in live]
    users = [[user for user in source.users if order[user] > order[after]] for source in sources]
    with graph.graph.inserting_after(after):
        end = graph.graph.call_function(operator.pos, (after,))  # what comes goes before it
    with graph.graph.inserting_before(end):
        parts = [
            _call(graph, torch.ops.aten.pixel_unshuffle.default, source, factor)
            for source, factor in zip(sources, _factors(live), strict=True)
        ]
        packed = _call(graph, torch.ops.aten.cat.default, parts, 1, name=name)
        start = 0
        for node, source, factor, behind in zip(live, sources, _factors(live), users, strict=True):
            stop = start + int(source.meta["val"].shape[1]) * factor**2
            part = _call(graph, torch.ops.aten.slice.Tensor, packed, 1, start, stop)
            now[node] = _call(graph, torch.ops.aten.pixel_shuffle.default, part, factor)
            for user in behind:
                user.replace_input_with(source, now[node])
            start = stop
    graph.graph.erase_node(end)


def _call(
    graph: fx.GraphModule, operation: Callable[..., Any], *args: Any, name: str = ""
) -> fx.Node:
    """A node with the shape of what it makes."""
    node = graph.graph.create_node("call_function", operation, args, name=name or None)
    node.meta["val"] = operation(*fx.node.map_arg(args, lambda one: one.meta["val"]))
    return node
