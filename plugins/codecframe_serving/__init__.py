"""A classifier behind a link, as a codecframe plugin: the commands `serve` and `send`.

`protocol` says what crosses the link. The server is `app` and `service`, the camera `sender`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import codecframe

if TYPE_CHECKING:
    from codecframe.cli.groups import CommandGroup


@codecframe.hookimpl
def codecframe_commands(cli: CommandGroup) -> None:
    """`serve` and `send`."""
    for name, summary in (
        ("serve", "Classify for cameras and others, over HTTP and WebSocket."),
        ("send", "Send images over a link to a server, and say what it sees."),
    ):
        cli.add_lazy_command(name, summary, f"{__name__}.commands.{name}:command")
