"""Results that people read: as a table in a terminal and in a notebook, and as plain data.

A result is a class that derives from `Result` and says what of it is shown:

    @dataclass(frozen=True, repr=False)
    class Answer(Result):
        def shown(self):
            return ["Two codecs fit.", Table(("codec", ">bpp"), [("jpeg", "0.4"), ("webp", "0.3")])]

        def records(self):
            return [{"codec": "jpeg", "bpp": 0.4}, {"codec": "webp", "bpp": 0.3}]
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecframe.core.errors import DependencyError

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDE = 10_000
"""Columns of a text whose rows are never wrapped."""


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        columns: their names; those that start with `>` are right-aligned.
        rows: cells of any type, shown as `str` shows them, as many a row as there are columns.
        title: written above.

    Examples:
        >>> print(cf.Table(["codec", ">bytes"], [["webp", 900]]).text())
        codec  bytes
        webp     900
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""

    def rich(self) -> RenderableType:
        """The table as `rich` prints it."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            title=Text(printable(self.title)) if self.title else None,
            title_justify="left",
            box=None,
            pad_edge=False,
        )
        for name in self.columns:
            right = name.startswith(">")
            table.add_column(name.lstrip(">"), justify="right" if right else "left")
        for row in self.rows:
            table.add_row(*[Text(printable(cell)) for cell in row])
        return table

    def text(self, width: int | None = None) -> str:
        """The table as plain text, without a line break at its end.

        Args:
            width: characters of a line, to which cells are wrapped; None makes one line a row.
        """
        from rich.console import Console

        file = io.StringIO()
        console = Console(
            file=file,
            width=width or _WIDE,
            color_system=None,
            force_terminal=False,
            force_jupyter=False,  # which would show it, and not write it to the file
        )
        console.print(self.rich(), soft_wrap=width is None)
        return "\n".join(line.rstrip() for line in file.getvalue().splitlines())

    def html(self) -> str:
        """The table as HTML, all texts escaped."""
        caption = f"<caption>{_escaped(self.title)}</caption>" if self.title else ""
        styles = [f"text-align:{'right' if c.startswith('>') else 'left'}" for c in self.columns]

        def line(tag: str, cells: Sequence[object]) -> str:
            parts = (
                f'<{tag} style="{style}">{_escaped(cell)}</{tag}>'
                for cell, style in zip(cells, styles, strict=True)
            )
            return f"<tr>{''.join(parts)}</tr>"

        heads = line("th", [name.lstrip(">") for name in self.columns])
        rows = "".join(line("td", row) for row in self.rows)
        return f"<table>{caption}<thead>{heads}</thead><tbody>{rows}</tbody></table>"


class Result(ABC):
    """A result: a person reads it as tables and sentences, a program takes its plain data.

    A dataclass that derives from it says `repr=False`.

    Examples:
        >>> isinstance(cf.codecs(), cf.Result)
        True
    """

    @abstractmethod
    def shown(self) -> Sequence[str | Table]:
        """What a person is shown, in reading order: tables, and sentences as text."""

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, as `--json` prints it. Default: the fields of a dataclass."""
        return _fields(self)

    def records(self) -> list[dict[str, Any]]:
        """The rows of its table as flat plain data: those of `to_pandas`."""
        return [self.to_dict()]

    def to_pandas(self) -> Any:
        """Its table as a `pandas.DataFrame`, a row for each of `records`.

        Raises:
            DependencyError: if pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError:
            raise DependencyError("pandas", "pandas") from None
        return pandas.DataFrame(self.records())

    def __repr__(self) -> str:
        width = _terminal_width()
        return "\n".join(
            part.text(width) if isinstance(part, Table) else printable(part)
            for part in self.shown()
        )

    def _repr_html_(self) -> str:
        return "\n".join(
            part.html() if isinstance(part, Table) else f"<p>{_escaped(part)}</p>"
            for part in self.shown()
        )


def _fields(found: Any) -> dict[str, Any]:
    return {field.name: _plain(getattr(found, field.name)) for field in dataclasses.fields(found)}


def _plain(value: Any) -> Any:
    """A field's value as plain data: paths as text, dataclasses as their fields."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_plain(item) for item in value]
    return _fields(value) if dataclasses.is_dataclass(value) else value


class FileResult(Result):
    """A result that takes the place of the path of the file that was made."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)


def _terminal_width() -> int | None:
    """Characters of a line where Python's output is a terminal; else None."""
    import shutil

    stream = sys.stdout
    return shutil.get_terminal_size().columns if stream and stream.isatty() else None


def printable(cell: object) -> str:
    """As text that is as wide as it looks: bytes of a name that are not UTF-8 are escaped."""
    return str(cell).encode(errors="backslashreplace").decode()


def _escaped(cell: object) -> str:
    return escape(printable(cell))


def percent(value: float | None) -> str:
    """0.764 as `76.4`; nothing where there is no value."""
    return "" if value is None else f"{100 * value:.1f}"


def interval(low: float | None, high: float | None) -> str:
    """A 95 % interval in per cent, `70.1-82.3`; nothing where there is none."""
    return "" if low is None or high is None else f"{100 * low:.1f}-{100 * high:.1f}"
