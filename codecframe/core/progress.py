"""How long work shows how far it is."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from html import escape
from typing import Any, Protocol


class Progress(Protocol):
    """Told of every piece of work that is done.

    Examples:
        >>> class Dots:
        ...     def advance(self, count, note):
        ...         print(f"{count} done: {note}")
        ...
        ...     def skip(self, count, note):
        ...         print(f"{count} skipped: {note}")
        >>> progress: cf.Progress = Dots()
        >>> progress.advance(3, "cats")
        3 done: cats
    """

    def advance(self, count: int, note: str) -> None:
        """`count` more pieces are done; `note` says of what, or how it goes."""
        ...

    def skip(self, count: int, note: str) -> None:
        """`count` more pieces need not be done: an earlier run did them. They take no time, so they
        say nothing about the time that is left.
        """
        ...


ProgressMaker = Callable[[int], AbstractContextManager[Progress]]
"""Makes a display for so many pieces of work.

Examples:
    >>> maker: cf.ProgressMaker = Silent
    >>> with maker(2) as progress:
    ...     progress.advance(1, "cat.png")
"""


class Silent:
    """Shows nothing."""

    def __init__(self, total: int) -> None:
        pass

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, count: int, note: str) -> None:
        """Nothing."""

    def skip(self, count: int, note: str) -> None:
        """Nothing."""


def automatic(title: str) -> ProgressMaker:
    """A bar in a notebook; elsewhere nothing.

    Args:
        title: what is done.
    """
    if not in_notebook():
        return Silent
    return lambda total: NotebookBar(total, title)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class NotebookBar:
    """A bar in the output of a notebook's cell, which goes when the work is done.

    Args:
        total: pieces of work.
        title: what is done.
        clock: seconds.
    """

    def __init__(
        self, total: int, title: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._title, self._clock = total, title, clock
        self._done = 0
        self._note = ""
        self._shown_at = -math.inf
        self._handle: Any = None

    def __enter__(self) -> NotebookBar:
        from importlib import import_module

        display = import_module("IPython.display").display
        self._handle = display(self._page(), raw=True, display_id=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.update({"text/plain": "", "text/html": ""}, raw=True)

    def advance(self, count: int, note: str = "") -> None:
        """See `Progress.advance`."""
        self._done += count
        self._note = note or self._note
        now = self._clock()
        if now - self._shown_at >= _FRAME:
            self._shown_at = now
            self._handle.update(self._page(), raw=True)

    def skip(self, count: int, note: str = "") -> None:
        """See `Progress.skip`."""
        self.advance(count, note)

    def _page(self) -> dict[str, str]:
        words = f"{self._title}: {_share(self._done, self._total)}"
        noted = escape(f"{words} {self._note}")
        bar = f'<progress value="{self._done}" max="{max(self._total, 1)}"></progress>'
        return {"text/plain": words, "text/html": f"{bar} {noted}"}


_FRAME = 0.2
"""Seconds between two looks of a bar."""
_APART = 10.0
"""Seconds between two lines, at least; work that takes less says nothing."""
_SILENCE = 60.0
"""Seconds without a line, at most."""
_STEP = 0.05
"""Share of the work after which a line is due sooner."""


class Lines:
    """Plain lines, for logs: stage, share done, time left.

    The first line comes after 10 seconds; then, after 10 seconds at least, one for each 5 % that
    are done, and one every minute even while a single piece takes longer than that.

    Args:
        total: pieces of work.
        title: what is done, at the start of each line.
        write: takes a line.
        clock: seconds.
        tick: seconds between two looks at the clock; None looks only when told of work.
    """

    def __init__(
        self,
        total: int,
        title: str,
        write: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        tick: float | None = 1.0,
    ) -> None:
        self._total, self._title, self._write, self._clock = total, title, write, clock
        self._tick = tick
        self._done = self._skipped = 0
        self._note = ""
        self._said_done = -math.inf  # the first line needs no progress
        self._began = self._said_at = clock()
        self._is_telling = False
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Lines:
        self._began = self._said_at = self._clock()
        if self._tick is not None:
            threading.Thread(target=self._watch, args=(self._tick,), daemon=True).start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._ended.set()
        with self._lock:
            if self._is_telling and kind is None:
                took = duration(self._clock() - self._began)
                self._write(f"{self._title}: {_share(self._done, self._total)}, took {took}")

    def advance(self, count: int, note: str = "") -> None:
        """See `Progress.advance`."""
        self._add(count, note, 0)

    def skip(self, count: int, note: str = "") -> None:
        """See `Progress.skip`."""
        self._add(count, note, count)

    def look(self) -> None:
        """Write a line if one is due."""
        with self._lock:
            now = self._clock()
            since, more = now - self._said_at, self._done - self._said_done
            enough = more >= _STEP * self._total or since >= _SILENCE
            if self._ended.is_set() or since < _APART or not enough:
                return
            self._said_at, self._said_done, self._is_telling = now, self._done, True
            left = self._left(now - self._began)
            note = f": {self._note}" if self._note else ""
            self._write(f"{self._title}: {_share(self._done, self._total)}{left}{note}")

    def _add(self, count: int, note: str, skipped: int) -> None:
        with self._lock:
            self._done += count
            self._skipped += skipped
            self._note = note or self._note
        self.look()

    def _watch(self, tick: float) -> None:
        while not self._ended.wait(tick):
            self.look()

    def _left(self, passed: float) -> str:
        worked = self._done - self._skipped
        if worked <= 0 or self._done >= self._total:
            return ""
        return f", {duration(passed / worked * (self._total - self._done))} left"


def duration(seconds: float) -> str:
    """About how long, in words: `40 s`, `5 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _share(done: int, total: int) -> str:
    return f"{100 * done / total if total else 100:.0f} % ({done} of {total})"
