"""Energy that the processor uses, by its counters (Linux powercap)."""

from __future__ import annotations

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class PackageCounters:
    """Energy counters of all processor packages together.

    They count all that runs on a package, and what it takes when idle.

    Args:
        folder: where Linux shows the packages.

    Raises:
        OSError, ValueError: if a counter cannot be read.
    """

    def __init__(self, folder: Path = POWERCAP) -> None:
        # intel-rapl:0 is a package (AMD's too); intel-rapl:0:0 is a part of it
        zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if zone.name.count(":") == 1]
        self._counters = [zone / "energy_uj" for zone in zones]
        self._turns = [_integer(zone / "max_energy_range_uj") + 1 for zone in zones]
        self.read()

    @classmethod
    def found(cls, folder: Path = POWERCAP) -> PackageCounters | None:
        """The counters, or None where there are none that can be read."""
        try:
            counters = cls(folder)
        except (OSError, ValueError):  # most systems let only root read them
            return None
        return counters if counters.read() else None

    def read(self) -> list[int]:
        """The counters now, in microjoules."""
        return [_integer(path) for path in self._counters]

    def joules(self, before: list[int], after: list[int]) -> float:
        """Energy between two readings, less than one turn of a counter apart."""
        passed = zip(before, after, self._turns, strict=True)
        return 1e-6 * sum((new - old) % turn for old, new, turn in passed)


def _integer(path: Path) -> int:
    return int(path.read_text())
