"""Benchmarks: listed, run on this machine, written as results."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from codecframe.core import registry
from codecframe.core.benchmark import Benchmark, BenchmarkTable
from codecframe.core.errors import UnknownNameError, UsageError
from codecframe.core.listing import Listing, installed_by
from codecframe.core.outputs import refuse_foreign
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.settings import Settings
from codecframe.evaluation.device import DeviceBenchmark
from codecframe.evaluation.results import is_results, write_results


@dataclass(frozen=True)
class BenchmarkInfo:
    """A benchmark.

    Attributes:
        name, summary: of the benchmark.
        missing: pip requirements of packages that it needs and that are not installed.

    Examples:
        >>> cf.bench()[0].name
        'encoders'
    """

    name: str
    summary: str
    missing: tuple[str, ...]

    def brief(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "missing": list(self.missing)}

    def row(self) -> list[object]:
        """Cells of a table."""
        return [self.name, self.summary, installed_by(self.missing)]


def benchmarks() -> dict[str, Benchmark[Any]]:
    """All benchmarks by name: those of plugins, and the one that comes with codecframe."""
    return {**registry.default().benchmarks, DeviceBenchmark.name: DeviceBenchmark()}


@overload
def bench(name: None = None) -> Listing[BenchmarkInfo]: ...
@overload
def bench(
    name: str,
    *,
    output: str | Path | None = None,
    force: bool = False,
    progress: ProgressMaker | None = None,
    **settings: Any,
) -> BenchmarkTable: ...
def bench(
    name: str | None = None,
    *,
    output: str | Path | None = None,
    force: bool = False,
    progress: ProgressMaker | None = None,
    **settings: Any,
) -> Listing[BenchmarkInfo] | BenchmarkTable:
    """List benchmarks, or run one on this machine.

    Args:
        name: of the benchmark to run; None for a list of all.
        output: a JSON file that the table is written to, with how and where it was made.
        force: the file may be replaced, whoever made it.
        progress: makes a display; told of each piece of work.
        settings: the benchmark's.

    Raises:
        UnknownNameError: if there is no such benchmark.
        SettingsError: for a setting that it does not take.
        DependencyError: if an optional package is missing.
        OutputError: if the file cannot be written, or codecframe did not make the one that is
            there.
        UsageError: for anything else where no benchmark is named.

    Examples:
        >>> [info.name for info in cf.bench()]
        ['encoders', 'device']
    """
    known = benchmarks()
    if name is None:
        if output is not None or settings:
            raise UsageError("{output} and settings need a benchmark")
        found = (
            BenchmarkInfo(each, one.summary, tuple(registry.missing(one.requires)))
            for each, one in known.items()
        )
        return Listing("benchmarks", tuple(found), ("benchmark", "what it compares", ""))
    if name not in known:
        raise UnknownNameError("benchmark", name, known)
    benchmark = known[name]
    if output is not None:
        refuse_foreign(output, is_results, force=force)
    given = benchmark.settings_type.from_dict(settings)
    table = benchmark.run(given, progress or Silent)
    if output is not None:
        made = _command(benchmark, given, output)
        write_results(Path(output), benchmark.name, made, table.rows, table.notes)
    return table


def _command(benchmark: Benchmark[Any], settings: Settings, output: str | Path) -> str:
    """The command that makes the same table."""
    words = ["codecframe", "bench", benchmark.name]
    for name, value in settings.changed().items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join([*words, "-o", str(output)])
