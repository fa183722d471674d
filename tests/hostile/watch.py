"""A watch over what is done with damaged files: crashes, hangs, memory, tracebacks, references."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Mutate = Callable[[Path, random.Random], None]
Use = Callable[[Path], None]

_MESSAGE = 2000
"""Characters of an error's message, at most."""
_ADDRESS_SPACE = 6 << 30
"""Of a process that is watched, so that what takes much memory does not take the machine's."""
_REPEATS = 5


@dataclass(frozen=True)
class Finding:
    """What went wrong with one damaged file.

    Attributes:
        number: which; the file is damaged by it as a seed.
        what: what went wrong.
        file: the damaged file.
    """

    number: int
    what: str
    file: Path


@dataclass
class Totals:
    """What was seen of all files: the largest peak of a process in bytes, and the longest use in
    seconds of the processor."""

    inputs: int = 0
    refused: int = 0
    peak: int = 0
    slowest: float = 0.0


@dataclass(frozen=True)
class _Seen:
    """Of one use of a file."""

    trouble: str
    refused: bool
    seconds: float
    peak: int
    grown: int


def watch(
    originals: Sequence[Path],
    mutate: Mutate,
    use: Use,
    numbers: Iterable[int],
    folder: Path,
    *,
    seconds: float = 60.0,
    processor_seconds: float = 60.0,
    most_bytes: int = 1 << 30,
    totals: Totals | None = None,
) -> Iterator[Finding]:
    """Use a file once for each number, damaged by it; yields what went wrong.

    That is: whatever is not a `CodecframeError`, or is a `PluginError`, or has an endless message;
    what ends the process, or takes more memory than `most_bytes` since the process began, more
    `seconds`, or more `processor_seconds`; what takes references of None away, or writes to stderr.
    """
    context = multiprocessing.get_context("spawn")
    totals = totals or Totals()
    worker: Any = None
    link: Any = None
    for number in numbers:
        if worker is None:
            link, end = context.Pipe()
            worker = context.Process(
                target=_work, args=(end, originals, folder, mutate, use, processor_seconds)
            )
            worker.start()
            end.close()
            link.recv()  # it has started: from now on time counts
        link.send(number)
        found = ""
        try:
            if link.poll(seconds):
                seen: _Seen = link.recv()
                found = seen.trouble
                if seen.grown > most_bytes:
                    found = f"takes {seen.grown >> 20} MiB"
                elif seen.seconds > processor_seconds:
                    found = f"takes {seen.seconds:.1f} s of the processor"
                totals.peak = max(totals.peak, seen.peak)
                totals.slowest = max(totals.slowest, seen.seconds)
                totals.refused += seen.refused
            else:
                found = f"takes more than {seconds:g} s"
        except (EOFError, ConnectionError):
            worker.join()
            found = f"ends the process: {worker.exitcode}"
        totals.inputs += 1
        if found:
            yield Finding(number, found, folder / _chosen(originals, number).name)
        if found.startswith(("takes", "ends")):
            worker.kill()
            worker.join()
            worker = None
    if worker is not None:
        link.send(None)
        worker.join()


def _chosen(originals: Sequence[Path], number: int) -> Path:
    return originals[number % len(originals)]


# -- in the process that is watched ----------------------------------------------------------------


def _work(
    link: Connection,
    originals: Sequence[Path],
    folder: Path,
    mutate: Mutate,
    use: Use,
    patience: float,
) -> None:
    """Damage a file by each number that comes, use it, and say how that ended; once more where it
    takes more than `patience` seconds of the processor.
    """
    _limit_memory()
    noise = os.open(folder / "stderr", os.O_CREAT | os.O_RDWR | os.O_TRUNC | os.O_APPEND)
    stderr = os.dup(2)
    start = 0
    used: set[Path] = set()
    link.send(None)
    while (number := link.recv()) is not None:
        original = _chosen(originals, number)
        path = folder / original.name
        if original not in used:  # what is loaded for the first time counts for no file
            _copy(original, path)
            _tried(use, path)
            used.add(original)
        _copy(original, path)
        mutate(path, random.Random(number))
        start = start or _memory_peak()
        os.dup2(noise, 2)
        started, before = time.process_time(), sys.getrefcount(None)
        trouble, refused = _tried(use, path)
        spent = time.process_time() - started
        if spent > patience:  # was it something that is loaded once?
            started = time.process_time()
            _tried(use, path)
            spent = time.process_time() - started
        if sys.getrefcount(None) < before and not trouble:
            trouble = _lost_references(use, path)
        os.dup2(stderr, 2)
        if said := os.fstat(noise).st_size:
            os.lseek(noise, 0, os.SEEK_SET)
            text = os.read(noise, 300).decode(errors="replace")
            os.ftruncate(noise, 0)
            trouble = trouble or f"writes {said} bytes to stderr: {text}"
        peak = _memory_peak()
        link.send(_Seen(trouble, refused, spent, peak, peak - start))


def _copy(original: Path, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(original.read_bytes())


def _tried(use: Use, path: Path) -> tuple[str, bool]:
    """What went wrong, and whether the file was refused as it should be."""
    from codecframe.core.errors import CodecframeError, PluginError

    try:
        use(path)
    except PluginError:  # of our own plugins: what they raise without a name
        return traceback.format_exc(limit=-4), False
    except CodecframeError as error:
        length = len(str(error))
        return ("" if length < _MESSAGE else f"a message of {length} characters"), True
    except BaseException:
        return traceback.format_exc(limit=-4), False
    return "", False


def _lost_references(use: Use, path: Path) -> str:
    """Whether each use takes references of None away; once is what caches do, too."""
    gc.collect()
    counts = [sys.getrefcount(None)]
    for _ in range(_REPEATS):
        _tried(use, path)
        gc.collect()
        counts.append(sys.getrefcount(None))
        if counts[-1] >= counts[-2]:
            return ""
    return f"loses references of None: {counts}"


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, hard))


def _memory_peak() -> int:
    """Bytes; 0 where the system does not say."""
    with suppress(OSError):  # Linux adds the parent's peak to what `getrusage` tells
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
