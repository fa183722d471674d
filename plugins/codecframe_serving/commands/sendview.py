"""What `codecframe send` shows while it runs: one line on stderr, on a terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from codecframe.cli import output
from codecframe_serving.plan import State
from codecframe_serving.sending import sentence

_REFRESH = 0.2


class View:
    """A line that follows a sender's state.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        self.state: State | None = None
        self._url = url
        console = Console(stderr=True)
        self._live = (
            Live(
                console=console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                get_renderable=self._line,
            )
            if console.is_terminal
            else None
        )

    def follow(self, state: State) -> View:
        """Show this state while the block is left open."""
        self.state = state
        return self

    def __enter__(self) -> View:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, message: str) -> None:
        """A remark on stderr, above the line."""
        if self._live is None:
            output.say(message)
        else:
            self._live.console.print(Text(message), soft_wrap=True)

    def print(self, line: str) -> None:
        """A line of the result on stdout; above the live one where both are on the terminal."""
        if self._live is None or not sys.stdout.isatty():
            click.echo(line)
        else:
            self._live.console.print(Text(line), soft_wrap=True)

    async def watch(self, work: Coroutine[Any, Any, None]) -> None:
        """Refresh while the work is done."""
        task = asyncio.create_task(work)
        try:
            while not task.done():
                if self._live is not None:
                    self._live.refresh()
                await asyncio.wait({task}, timeout=_REFRESH)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        task.result()

    def _line(self) -> Text:
        state = self.state or State()
        last = state.last
        parts = [self._url if state.connected else f"{self._url}: no connection"]
        if state.rate != float("inf"):
            parts.append(f"{state.rate / 1000:.0f} kbit/s")
        if state.stride > 1:
            parts.append(f"1 frame in {state.stride}")
        if last is not None:
            where = "on the device" if last.on_device else f"{last.codec} level {last.level}"
            parts.append(f"{where}, {last.bytes} B")
            parts.append(f"{1000 * last.seconds:.0f} ms")
            parts.append(last.seen() or "-")
        parts.append(sentence(state))
        return Text("  ".join(parts), overflow="ellipsis", no_wrap=True)
