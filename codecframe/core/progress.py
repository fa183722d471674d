"""How long work shows how far it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Progress(Protocol):
    """Told of every piece of work that is done."""

    def advance(self, count: int, note: str) -> None:
        """`count` more pieces are done; `note` says of what, or how it goes."""
        ...


ProgressMaker = Callable[[int], AbstractContextManager[Progress]]
"""Makes a display for so many pieces of work."""


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
