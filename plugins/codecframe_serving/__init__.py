"""A classifier behind a link, as a codecframe plugin: the commands `serve` and `send`.

`protocol` says what crosses the link. The server is `app` and `service`, the camera `sender`;
`serve` and `send` are the commands as functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import codecframe

if TYPE_CHECKING:
    from codecframe.cli.groups import CommandGroup
    from codecframe_serving.sending import Sent as Sent
    from codecframe_serving.sending import send as send
    from codecframe_serving.serving import serve as serve

else:  # imported on first use: `codecframe --help` imports this module
    import lazy_loader

    __getattr__ = lazy_loader.attach(
        __name__, submod_attrs={"sending": ["Sent", "send"], "serving": ["serve"]}
    )[0]


@codecframe.hookimpl
def codecframe_commands(cli: CommandGroup) -> None:
    """`serve` and `send`."""
    for name, summary in (
        ("serve", "Classify for cameras and others, over HTTP and WebSocket."),
        ("send", "Send images over a link to a server, and say what it sees."),
    ):
        cli.add_lazy_command(name, summary, f"{__name__}.commands.{name}:command")
