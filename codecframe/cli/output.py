"""Rendering: JSON, tables and progress bars. Results go to stdout, all else to stderr."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from codecframe.core.progress import Lines, ProgressMaker
from codecframe.core.tables import Result, Table, printable

if TYPE_CHECKING:
    from codecframe.pipeline.convert import Failed


def print_json(value: Any) -> None:
    """Print plain data as JSON in UTF-8; NaN and infinities become null."""
    click.echo(json_text(_finite(value), indent=2).encode())


def json_text(value: Any, indent: int | None = None) -> str:
    """Plain data as JSON that can be written as UTF-8.

    Bytes of a file's name that are not UTF-8, which Python holds as lone surrogates, are escaped.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _print(table: Table) -> None:
    """On a terminal a table is fitted to the width; in a pipe every row is one whole line."""
    from rich.console import Console

    class Stdout(Console):
        """The terminal or pipe; that its reader went away is for the caller to see."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    console = Stdout()
    if not console.is_terminal:
        console = Stdout(width=10_000)
    console.print(table.rich(), soft_wrap=not console.is_terminal)


def show(result: Result, *, as_json: bool = False) -> None:
    """Print a result as it shows itself, or its plain data as JSON."""
    if as_json:
        print_json(result.to_dict())
        return
    for part in result.shown():
        if isinstance(part, Table):
            _print(part)
        else:
            click.echo(printable(part))


def show_made(made: Any, *, to: str | None = None, as_json: bool = False) -> int:
    """Show what was made of images, unless it went to stdout itself; gives the exit code."""
    if to != "-" and (as_json or made.images):
        show(made, as_json=as_json)
    return 1 if made.failed else 0


def show_listed(result: Result, *, as_json: bool = False) -> None:
    """`show`; as JSON, a list is one of its items."""
    if as_json and isinstance(result, Sequence):
        print_json(result.records())
    else:
        show(result, as_json=as_json)


def say(message: str) -> None:
    """A remark for the person at the terminal, on stderr."""
    click.echo(message, err=True)


def remark(text: str) -> None:
    """What a user should know, on stderr."""
    say(f"codecframe: {text}")


class _Bar:
    """A progress bar on a terminal: title, share done, time left, note."""

    def __init__(self, total: int, title: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(title, total=total, note="")

    def advance(self, count: int, note: str = "") -> None:
        """See `Progress.advance`."""
        self._progress.update(self._task, advance=count, note=note)

    def skip(self, count: int, note: str = "") -> None:
        """See `Progress.skip`."""
        # what starts later does not count as fast work
        done = self._progress.tasks[0].completed + count
        self._progress.reset(self._task, completed=int(done), note=note)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def progress(title: str) -> ProgressMaker:
    """Shows how far work of that title is, on stderr: a bar on a terminal, else a plain line from
    time to time.
    """
    return lambda total: _Bar(total, title) if sys.stderr.isatty() else Lines(total, title, say)


def telling(title: str) -> dict[str, Any]:
    """What functions that warn are told to show while they work."""
    return {"progress": progress(title), "warn": remark}


def left_out(failed: Failed) -> None:
    """Tell on stderr of an input that could not be used."""
    say(f"codecframe: left out {failed}")


def tell_left_out(images: Sequence[tuple[str, str]]) -> int:
    """Tell of images that could not be read, as (name, reason); returns how many."""
    for name, reason in images:
        say(f"codecframe: left out {reason if reason.startswith(name) else f'{name}: {reason}'}")
    return len(images)
