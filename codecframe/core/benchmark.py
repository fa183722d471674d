"""The benchmark interface: measures something on this machine and gives a table.

A new benchmark is a `Settings` dataclass, whose fields are the options of its command, and one
method:

    class MyBenchmark(codecframe.Benchmark[MySettings]):
        name = "mine"
        summary = "what it compares"
        settings_type = MySettings

        def run(self, settings, progress): ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from codecframe.core.progress import ProgressMaker
from codecframe.core.settings import Settings
from codecframe.core.tables import Result, Table

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, repr=False)
class BenchmarkTable(Result):
    """What a benchmark found.

    Attributes:
        rows: plain data, the same keys in each and in the order of the columns; None where there is
            nothing to say.
        notes: how it was made, in words: what a reader of the table must know.

    Examples:
        >>> table = cf.BenchmarkTable([{"codec": "jpeg", "ms": 0.4}], "median of 5 runs")
        >>> table.rows[0]["ms"]
        0.4
    """

    rows: Sequence[Mapping[str, Any]]
    notes: str

    def records(self) -> list[dict[str, Any]]:
        """The rows."""
        return [dict(row) for row in self.rows]

    def shown(self) -> list[str | Table]:
        """The table and its notes."""
        names = list(self.rows[0]) if self.rows else []
        number = (int, float, type(None))
        right = {n for n in names if all(isinstance(row[n], number) for row in self.rows)}
        columns = [(">" if name in right else "") + name.replace("_", " ") for name in names]
        cells = [[_cell(row[name]) for name in names] for row in self.rows]
        return [Table(columns, cells), f"\n{self.notes}"]


def _cell(value: Any) -> str:
    """Integers whole, other numbers to three digits."""
    if value is None:
        return ""
    if isinstance(value, float) and abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


class Benchmark(ABC, Generic[S]):
    """One benchmark.

    Attributes:
        name: what users type after `codecframe bench`.
        summary: one line for listings.
        settings_type: its options.
        requires: import name of an optional package -> the pip requirement that installs it.

    Examples:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class SizeSettings(cf.Settings):
        ...     quality: int = cf.option(30, low=1, high=100, help="of the JPEG file")
        >>> class SizeBenchmark(cf.Benchmark[SizeSettings]):
        ...     name = "size"
        ...     settings_type = SizeSettings
        ...
        ...     def run(self, settings, progress):
        ...         data = cf.get_codec("jpeg").encode(photo, quality=settings.quality)
        ...         return cf.BenchmarkTable([{"bytes": len(data)}], "one photograph")
        >>> SizeBenchmark().run(SizeSettings(quality=10), Silent).rows[0]["bytes"] < 2000
        True
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    settings_type: type[S]
    requires: ClassVar[dict[str, str]] = {}

    @abstractmethod
    def run(self, settings: S, progress: ProgressMaker) -> BenchmarkTable:
        """Measure.

        Raises:
            DependencyError: if an optional package is missing.
        """
