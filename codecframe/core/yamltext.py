"""YAML as plain data, by the YAML 1.2 rules for numbers, and plain dumping.

PyYAML follows YAML 1.1, where `4:2:0` is the base-60 integer 14520 and `on` is true. Settings are
full of `4:2:0`, so its parser is used, and not its readings. Texts come from strangers: no anchors,
aliases or tags are taken, and size, depth and digits are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from codecframe.core.errors import shown

MOST_CHARACTERS = 1 << 20
"""Of a text."""
MOST_NODES = 100_000
"""Scalars, lists and mappings in it."""
MOST_LEVELS = 32
"""Lists and mappings within each other."""
MOST_DIGITS = 40
"""Characters of a number."""

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C wherever PyYAML has it
_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
)
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def load(text: str) -> Any:
    """Parse one YAML document.

    Returns:
        None, booleans, numbers, texts, and lists and dicts of them.

    Raises:
        ValueError: if the text is not YAML, or goes beyond plain data or the bounds above; the
            message has line and column.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"has {len(text):,} characters, over the {MOST_CHARACTERS:,} allowed")
    try:
        return _document(yaml.parse(text, Loader=_PARSER))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def dump(value: Any) -> str:
    """YAML text of plain data, keys in their order; texts such as `4:2:0` come out quoted."""
    # escaped: PyYAML folds U+0085 if not; lists of numbers in a line
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=100)


_NO_KEY = object()


@dataclass
class _Open:
    """A list or mapping whose end is still to come."""

    value: Any
    key: Any = _NO_KEY

    def add(self, item: Any, event: Any) -> None:
        """An item of the list; a key of the mapping, or what stands under the last key."""
        if isinstance(self.value, list):
            self.value.append(item)
        elif self.key is not _NO_KEY:
            self.value[self.key] = item
            self.key = _NO_KEY
        elif isinstance(item, (list, dict)):
            raise _refusal("a list or a mapping as a key", event)
        elif item in self.value:
            raise _refusal(f"the key {shown(item)} twice", event)
        else:
            self.key = item


def _document(events: Any) -> Any:
    """What the events of a text say."""
    root = _Open([])
    stack = [root]
    nodes = 0
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            closed = stack.pop()
            stack[-1].add(closed.value, event)
        if not isinstance(event, yaml.NodeEvent):
            continue
        nodes += 1
        if nodes > MOST_NODES:
            raise _refusal(f"more than {MOST_NODES:,} values", event)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _refusal("an anchor or alias (& or *)", event)
        if (tag := getattr(event, "tag", None)) is not None:
            raise _refusal(f"a tag, {shown(tag)}", event)
        if isinstance(event, yaml.ScalarEvent):
            stack[-1].add(_scalar(event), event)
            continue
        if len(stack) > MOST_LEVELS:
            raise _refusal(f"more than {MOST_LEVELS} levels", event)
        stack.append(_Open([] if isinstance(event, yaml.SequenceStartEvent) else {}))
    if len(root.value) > 1:
        raise ValueError("holds more than one document")
    return root.value[0] if root.value else None


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style is not None and event.style != "":  # quoted, or a block of text
        return text
    if text in _WORDS:
        return _WORDS[text]
    for pattern, read in _NUMBERS:
        if pattern.fullmatch(text):
            if len(text) > MOST_DIGITS:
                raise _refusal(f"a number of {len(text)} characters, over {MOST_DIGITS}", event)
            return read(text)
    return text


def _refusal(what: str, event: Any) -> ValueError:
    mark = event.start_mark
    return ValueError(f"has {what}, in line {mark.line + 1}, column {mark.column + 1}")
