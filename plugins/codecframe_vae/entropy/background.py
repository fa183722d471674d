"""What is prepared while callers do without it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """Something that is useful and takes time to make: a thread of its own makes it.

    Args:
        make: makes it. Where that fails, callers do without for good.
    """

    def __init__(self, make: Callable[[], T | None]) -> None:
        self._make = make
        self._lock = Lock()
        self._is_started = False
        self._ended = Event()
        self._made: T | None = None

    def get(self) -> T | None:
        """It, or None as long as it is not there. The first call starts the thread."""
        with self._lock:
            starts, self._is_started = not self._is_started, True
        if starts:
            try:
                Thread(target=self._run, name=self._make.__name__).start()
            except RuntimeError:  # the system has no thread left
                self._ended.set()
        return self._made

    def wait(self) -> T | None:
        """It, once it is there; None where it could not be made."""
        self.get()
        self._ended.wait()
        return self._made

    def _run(self) -> None:
        try:
            self._made = self._make()
        except Exception:
            logging.getLogger(__name__).info("left out: %s", self._make.__name__, exc_info=True)
        self._ended.set()
