"""SQLite files, written a transaction at a time and never half; their errors are ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codecframe.core.errors import DataError, OutputError

MAGIC = b"SQLite format 3\0"


def is_marked(path: Path, mark: int) -> bool:
    """Whether a file is an SQLite file with that `application_id`; it is not opened as one."""
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except OSError:
        return False
    return head.startswith(MAGIC) and int.from_bytes(head[68:72], "big") == mark


class Database:
    """An open SQLite file, begun where there is none.

    Args:
        path: the file.
        what: what it should be, for messages: `a profile`.

    Raises:
        DataError: if the file is no database, or is damaged; so do all methods.
        OutputError: if it cannot be opened or written; so does `writing`.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._what = what
        with self._reported():
            self._connection = sqlite3.connect(path, timeout=10.0)
            self._connection.execute("PRAGMA user_version")  # fails now if this is no database

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with self._reported(), self._connection:
            yield self._connection

    def all(self, query: str, *values: Any) -> list[Any]:
        """All rows that a query finds."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:  # also a table that is not there
            raise self._damaged(error) from None

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OutputError(str(self.path), error) from None
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None

    def _damaged(self, error: sqlite3.DatabaseError) -> DataError:
        return DataError(str(self.path), f"is not {self._what}: {error}")
