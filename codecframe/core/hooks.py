"""The hooks that a plugin may implement (pluggy).

A plugin is registered by an entry point of the group `codecframe`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from codecframe.core.benchmark import Benchmark
    from codecframe.core.codec import Codec
    from codecframe.core.head import TaskHead
    from codecframe.core.task import Task
    from codecframe.core.trainer import Trainer

PROJECT = "codecframe"
JOINS = "+"
"""Stands between the names of two codecs that are the layers of one."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook of that name.

Examples:
    >>> @cf.hookimpl
    ... def codecframe_codecs():
    ...     return [cf.get_codec("jpeg")]
"""


@hookspec
def codecframe_codecs() -> Iterable[Codec[Any]]:
    """Return the plugin's codecs. Called once, when a codec is first asked for or listed."""
    return ()


@hookspec
def codecframe_heads() -> Iterable[TaskHead]:
    """Return the plugin's named heads. Called once, when a head is first asked for or listed."""
    return ()


@hookspec
def codecframe_tasks() -> Iterable[Task]:
    """Return the plugin's tasks. Called once, when a task is asked for that codecframe has not."""
    return ()


@hookspec
def codecframe_open_codec(spec: str) -> Codec[Any] | None:
    """Open a codec from a file, or return None if `spec` is not for this plugin.

    Called for a name that no codec has, e.g. `signs.safetensors`, plugin by plugin until one
    answers.
    """


@hookspec
def codecframe_open_head(spec: str, options: dict[str, Any]) -> TaskHead | None:
    """Open a head from a file or an import path, or return None if `spec` is not for this plugin.

    Called for a name that no head has, e.g. `model.onnx` or `package.module:function`, plugin by
    plugin until one answers. `options` holds what a head description file said besides
    `model`; `codecframe.HeadOptions.read` checks it.
    """


@hookspec
def codecframe_trainers() -> Iterable[Trainer[Any]]:
    """Return the plugin's trainers. Called once, when a training recipe is run."""
    return ()


@hookspec
def codecframe_benchmarks() -> Iterable[Benchmark[Any]]:
    """Return the plugin's benchmarks. Called once, when `codecframe bench` is run."""
    return ()


@hookspec
def codecframe_commands(cli: Any) -> None:
    """Add commands to the command line. Called when it starts, so import lazily.

    `cli` is a `click.Group`; its `add_lazy_command(name, summary, "package.module:attribute")`
    adds a command that is imported when it is run.
    """
