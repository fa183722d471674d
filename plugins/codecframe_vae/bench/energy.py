"""Energy that the processor uses: by its counters (Linux powercap), or estimated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

POWERCAP = Path("/sys/class/powercap")


class Meter(Protocol):
    """Says how much energy something took."""

    @property
    def source(self) -> str:
        """Where the figures come from, for tables."""
        ...

    def read(self) -> list[int]:
        """The counters now, where there are any."""
        ...

    def joules(self, before: list[int], after: list[int], seconds: float) -> float:
        """Energy between two readings, between which one core was busy for so many seconds."""
        ...


def energy_meter(watts: float, folder: Path = POWERCAP) -> Meter:
    """Counters where they can be read, else an estimate by the power of a busy core."""
    # intel-rapl:0 is a package (AMD's too); intel-rapl:0:0 is a part of it
    zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if zone.name.count(":") == 1]
    try:
        return PackageCounters(zones) if zones else Estimate(watts)
    except (OSError, ValueError):  # most systems let only root read them
        return Estimate(watts)


class PackageCounters:
    """Energy counters of all processor packages together.

    They count all that runs on a package, and what it takes when idle.

    Args:
        zones: folders of the packages.

    Raises:
        OSError: if a counter cannot be read.
    """

    source = "package counters"

    def __init__(self, zones: list[Path]) -> None:
        self._counters = [zone / "energy_uj" for zone in zones]
        self._turns = [_integer(zone / "max_energy_range_uj") + 1 for zone in zones]
        self.read()

    def read(self) -> list[int]:
        """The counters now, in microjoules."""
        return [_integer(path) for path in self._counters]

    def joules(self, before: list[int], after: list[int], seconds: float) -> float:
        """Energy between two readings, less than one turn of a counter apart."""
        del seconds
        passed = zip(before, after, self._turns, strict=True)
        return 1e-6 * sum((new - old) % turn for old, new, turn in passed)


@dataclass(frozen=True)
class Estimate:
    """Time x power.

    Attributes:
        watts: power of one busy core.
    """

    watts: float

    @property
    def source(self) -> str:
        """The power."""
        return f"estimate, {self.watts:g} W"

    def read(self) -> list[int]:
        """Nothing."""
        return []

    def joules(self, before: list[int], after: list[int], seconds: float) -> float:
        """Time x power."""
        del before, after
        return self.watts * seconds


def _integer(path: Path) -> int:
    return int(path.read_text())
