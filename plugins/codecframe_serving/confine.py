"""Limits that a decoding process sets itself, as far as the system has them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import resource

_LIBRARIES = 1 << 30
"""Address space for what libraries load and reserve later; it is not memory that is used."""
_FILES = 64


def can_confine() -> bool:
    """Whether this system has limits for a process."""
    return sys.platform != "win32"


def detach() -> None:
    """Leave signals to the parent, and say nothing: libraries write warnings to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    silent = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(silent, number)


def be_nice(niceness: int) -> None:
    """Leave processors to others that want them, where the system knows of such."""
    if niceness and hasattr(os, "nice"):
        os.nice(niceness)


def confine(memory: int) -> None:
    """From now on: so many bytes of memory more, no bytes into files, few open files, no core.

    Soft limits, which `release` lifts: they stop what goes wrong, not a program that wants out.
    """
    if sys.platform == "win32":
        return
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    if sys.platform == "linux":
        _limit(resource.RLIMIT_AS, _address_space() + memory + _LIBRARIES)


def release() -> None:
    """Lift the limits, for libraries that load."""
    if sys.platform == "win32":
        return
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_AS):
        resource.setrlimit(kind, (resource.getrlimit(kind)[1],) * 2)


def limit_seconds(seconds: float) -> None:
    """End this process when it has used so many seconds of a processor from now on: also where the
    parent, which ends it sooner, is gone."""
    if sys.platform != "win32":
        _limit(resource.RLIMIT_CPU, int(time.process_time() + seconds) + 1)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (most, hard))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")
