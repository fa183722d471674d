"""What a torch module shows of its output: whether softmax or sigmoid made it.

Only where the order of computation can be read: a sequence, a graph (exported, or traced by fx),
TorchScript. The children of any other module may be used in any order, or not at all.
"""

from __future__ import annotations

import sys
from typing import Any

_KINDS = {
    "hardsigmoid": "sigmoid",
    "log_softmax": "log-probabilities",
    "logsoftmax": "log-probabilities",
    "sigmoid": "sigmoid",
    "softmax": "probabilities",
    "softmax2d": "probabilities",
}
_THROUGH = {
    *("_to_copy", "alias", "clone", "contiguous", "detach", "dropout", "flatten", "float"),
    *("identity", "reshape", "squeeze", "to", "unflatten", "unsqueeze", "view"),
}
"""Operations that change neither order nor meaning of the scores."""

_DEPTH = 64
"""Steps that are followed back."""


def read_kind(module: Any) -> tuple[str | None, str]:
    """What kind of output a module gives, as `codecframe.ClassifierHead` names it, and what shows
    it; None if it shows nothing.
    """
    last = _last(module)
    kind = _KINDS.get(last)
    return kind, f"the module ends in {last}" if kind else ""


def _last(module: Any, depth: int = _DEPTH) -> str:
    """Name of the last operation that says what the scores are; empty if it cannot be seen."""
    torch = sys.modules.get("torch")  # a module of torch's has loaded it
    if torch is None or not isinstance(module, torch.nn.Module) or depth == 0:
        return ""
    if isinstance(module, torch.jit.ScriptModule):
        return _last_scripted(module)
    if isinstance(module, torch.fx.GraphModule):
        return _last_of_graph(module, depth)
    if type(module) is torch.nn.Sequential:
        for child in reversed(list(module)):
            name = _last(child, depth - 1)
            if name not in _THROUGH:
                return name
        return ""
    return type(module).__name__.lower() if type(module).__module__.startswith("torch.nn") else ""


def _last_of_graph(module: Any, depth: int) -> str:
    node: Any = next(one for one in module.graph.nodes if one.op == "output").args[0]
    for _ in range(_DEPTH):
        while isinstance(node, (tuple, list)) and len(node) == 1:
            node = node[0]
        if not hasattr(node, "op"):
            return ""
        if node.op == "call_module":
            name = _last(module.get_submodule(node.target), depth - 1)
        else:
            name = _operation(node.target)
        if name not in _THROUGH or not node.args:
            return name
        node = node.args[0]
    return ""


def _last_scripted(module: Any) -> str:
    outputs = list(module.inlined_graph.outputs())
    if len(outputs) != 1:
        return ""
    node = outputs[0].node()
    for _ in range(_DEPTH):
        name = _operation(node.kind().rpartition("::")[2])
        inputs = list(node.inputs())
        if name not in _THROUGH or not inputs:
            return name
        node = inputs[0].node()
    return ""


def _operation(target: Any) -> str:
    """`aten._softmax.default`, a function or a method's name, as the plain name."""
    if not isinstance(target, str) and hasattr(target, "overloadpacket"):
        target = str(target.overloadpacket).rpartition(".")[2]
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    return name if name in _THROUGH else name.strip("_")
