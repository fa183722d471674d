"""What a tuning has measured, in a file: one that was stopped goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from codecframe.core.files import reported
from codecframe.core.outputs import refuse_foreign
from codecframe.evaluation.database import Database, is_marked

MARK = 0x43465452
"""The file's `application_id`: CFTR."""


def is_memory(path: Path) -> bool:
    """Whether a tuning made the file, for this."""
    return is_marked(path, MARK)


class Memory:
    """Plain data by a key of plain data. Use as a context manager.

    Args:
        path: the file; None keeps nothing beyond the process.

    Attributes:
        kept: how many values this process has kept.

    Raises:
        DataError: if it is damaged; so do all methods.
        OutputError: if it is not such a file, or cannot be written; so do all methods.
    """

    def __init__(self, path: Path | None) -> None:
        if path:
            with reported(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            refuse_foreign(path, is_memory)
        self.kept = 0
        self._file = Database(path or Path(":memory:"), "what a tuning has measured")
        with self._file.writing() as db:
            db.execute("PRAGMA synchronous = OFF")  # a stopped process loses nothing by it
            db.execute(f"PRAGMA application_id = {MARK}")
            db.execute("CREATE TABLE IF NOT EXISTS measured (key TEXT PRIMARY KEY, value TEXT)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def recall(self, key: Any) -> Any:
        """What was kept under a key; None if nothing was."""
        found = self._file.all("SELECT value FROM measured WHERE key = ?", json.dumps(key))
        return json.loads(found[0][0]) if found else None

    def keep(self, key: Any, value: Any) -> None:
        """Keep a value, which is not None, under a key."""
        self.kept += 1
        row = (json.dumps(key), json.dumps(value))
        with self._file.writing() as db:
            db.execute("INSERT OR REPLACE INTO measured VALUES (?, ?)", row)

    def forget(self) -> None:
        """Forget all."""
        with self._file.writing() as db:
            db.execute("DELETE FROM measured")
