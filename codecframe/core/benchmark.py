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

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class BenchmarkTable:
    """What a benchmark found.

    Attributes:
        rows: plain data, the same keys in each and in the order of the columns; None where there is
            nothing to say.
        notes: how it was made, in words: what a reader of the table must know.
    """

    rows: Sequence[Mapping[str, Any]]
    notes: str


class Benchmark(ABC, Generic[S]):
    """One benchmark.

    Attributes:
        name: what users type after `codecframe bench`.
        summary: one line for listings.
        settings_type: its options.
        requires: import name of an optional package -> the pip requirement that installs it.
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
