"""A classifier behind a link, as a codecframe plugin: the commands `serve` and `send`.

`protocol` says what crosses the link. The server is `app` and `service`, the camera `sender`;
`serve` and `send` are the commands as functions.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import codecframe

if TYPE_CHECKING:
    from codecframe.cli.groups import CommandGroup
    from codecframe_serving.sending import Sent as Sent
    from codecframe_serving.sending import send as send
    from codecframe_serving.serving import serve as serve

_LAZY = {"Sent": "sending", "send": "sending", "serve": "serving"}


def __getattr__(name: str) -> Any:
    """The functions, imported on first use: `codecframe --help` imports this module."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


@codecframe.hookimpl
def codecframe_commands(cli: CommandGroup) -> None:
    """`serve` and `send`."""
    for name, summary in (
        ("serve", "Classify for cameras and others, over HTTP and WebSocket."),
        ("send", "Send images over a link to a server, and say what it sees."),
    ):
        cli.add_lazy_command(name, summary, f"{__name__}.commands.{name}:command")
