"""SQLite files, written a transaction at a time and never half; their errors are ours.

A file that is only read may be anybody's: it is opened read-only, with bounds on what its content
can cost, and refused where its schema holds more than plain tables.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import DataError, OutputError, shown

_MOST_CHECKED = 256 << 20
"""Bytes of a file whose pages are all checked when it is opened."""
_MOST_TABLES = 100
_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 10,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 100_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}
_STEPS = 10_000
"""Steps of SQLite's machine after which it is asked whether a query goes on."""
_LEAST_STEPS, _STEPS_A_BYTE = 5_000_000, 10
"""Steps that a query may take: so many, and for each byte of the file."""
_LEAST_BYTES = 1 << 20
_LONGEST = 256 << 20
"""Bytes of a value, at most."""
_ROWS = 1000

MAGIC = b"SQLite format 3\0"


def written(record: Any) -> str | None:
    """Plain data as a file holds it."""
    return None if record is None else json.dumps(record, separators=(",", ":"))


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
        read_only: it is there already, and may be a stranger's.

    Raises:
        DataError: if the file is not a database, or is damaged; so do all methods.
        OutputError: if it cannot be opened or written; so does `writing`.
    """

    def __init__(self, path: Path, what: str, *, read_only: bool = False) -> None:
        self.path = path
        self._what = what
        self._read_only = read_only
        self._steps = 0
        with self._reported():
            if read_only:
                self._open_strangers()
            else:
                self._connection = sqlite3.connect(path, timeout=10.0)
                self._connection.execute("PRAGMA user_version")  # fails now if it is not one

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with self._reported(), self._connection:
            yield self._connection

    def all(self, query: str, *values: Any) -> list[Any]:
        """All rows that a query finds.

        Of a stranger's file, they hold no more bytes than the file can have said.
        """
        self._steps = 0
        try:
            cursor = self._connection.execute(query, values)
            return self._counted(cursor) if self._read_only else cursor.fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # also a table that is not there
            raise self._damaged(error) from None

    def has(self, table: str) -> bool:
        """Whether there is such a table."""
        return bool(self.all("SELECT 1 FROM sqlite_master WHERE name = ?", table))

    def plain(self, text: Any) -> Any:
        """Plain data that the file holds as JSON."""
        try:
            return json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise self._damaged(f"{shown(text)} is not JSON ({error})") from None

    def records(self, query: str, *values: Any) -> npt.NDArray[np.object_]:
        """What a query of one column finds, plain data that `written` made."""
        texts = self.all(query, *values)
        found = np.empty(len(texts), object)
        found[:] = [None if text is None else self.plain(text) for (text,) in texts]
        return found

    # -- of strangers -----------------------------------------------------------------------

    def _open_strangers(self) -> None:
        if not self.path.is_file():
            raise DataError(str(self.path), "is not a file")
        self._recover()
        uri = f"{self.path.resolve().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, timeout=10.0)
        try:
            self._bound(self.path.stat().st_size)
            self._check()
        except BaseException:
            self._connection.close()
            raise

    def _recover(self) -> None:
        """Undo what a run that was killed had half written: reading alone cannot."""
        beside = (self.path.with_name(self.path.name + end) for end in ("-journal", "-wal"))
        if any(path.is_file() for path in beside):
            connection = sqlite3.connect(self.path, timeout=10.0)
            try:
                connection.execute("PRAGMA trusted_schema = OFF")
                connection.execute("PRAGMA schema_version").fetchone()
            finally:
                connection.close()

    def _bound(self, size: int) -> None:
        """What reading may cost."""
        connection = self._connection
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        longest = min(max(size, _LEAST_BYTES), _LONGEST)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
            connection.execute(f"PRAGMA {pragma}")
        self._most_bytes = _LEAST_BYTES + 2 * size
        most_steps = _LEAST_STEPS + _STEPS_A_BYTE * size

        def goes_on() -> bool:
            self._steps += _STEPS
            return self._steps > most_steps  # True ends the query

        connection.set_progress_handler(goes_on, _STEPS)

    def _check(self) -> None:
        """Refuse what is damaged, and schemas that do more than hold data."""
        if self.path.stat().st_size <= _MOST_CHECKED:
            (found,) = self.all("PRAGMA quick_check(1)")[:1] or [("no answer",)]
            if found[0] != "ok":
                raise self._damaged(shown(found[0]))
        schema = self.all("SELECT type, name, sql FROM sqlite_master")
        if len(schema) > _MOST_TABLES:
            raise self._damaged(f"it has {len(schema)} tables and indices")
        for kind, name, sql in schema:
            if kind not in ("table", "index") or str(sql).upper().startswith("CREATE VIRTUAL"):
                raise self._damaged(f"it has a {shown(kind)} {shown(name)}")
            if kind == "table" and any(
                column[6] for column in self.all("SELECT * FROM pragma_table_xinfo(?)", name)
            ):
                raise self._damaged(f"table {shown(name)} has columns that are computed")

    def _counted(self, cursor: sqlite3.Cursor) -> list[Any]:
        found: list[Any] = []
        size = 0
        while rows := cursor.fetchmany(_ROWS):
            size += sum(len(v) for row in rows for v in row if isinstance(v, (str, bytes)))
            if size > self._most_bytes:
                raise self._damaged("it repeats what it holds")
            found += rows
        return found

    # -- errors -----------------------------------------------------------------------------

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if self._read_only:
                raise self._damaged(error) from None
            raise OutputError(str(self.path), error) from None
        except (sqlite3.Error, UnicodeDecodeError) as error:  # its messages quote the file
            raise self._damaged(error) from None

    def _damaged(self, reason: object) -> DataError:
        if str(reason) == "interrupted":
            reason = "reading it takes too long"
        return DataError(str(self.path), f"is not {self._what}: {reason}")
