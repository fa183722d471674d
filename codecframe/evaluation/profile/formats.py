"""The tables of a profile; those of earlier formats: how they are read, and brought up to date by a
run that goes on.

Format 5 added the bytes of picture layers. Format 4 added the records of tasks whose sets are not
scored by a mean. Format 3 added `descriptions`. In format 2, payloads were called `bare` until they
got their name.
"""

from __future__ import annotations

import json

from codecframe.evaluation.database import Database

FORMAT = 5
FORMER = (2, 3, 4)
"""Formats that are read, too."""
LATER = ("reference", "task")
"""What `meta` says since formats 3 and 4."""

DESCRIPTIONS = (
    "TABLE IF NOT EXISTS descriptions (point INTEGER PRIMARY KEY, words TEXT NOT NULL, "
    "knob TEXT NOT NULL, ladder TEXT NOT NULL, latents INTEGER NOT NULL)"
)
MARK = 0x43465052
"""The file's `application_id`: CFPR."""

SCHEMA = f"""
PRAGMA application_id = {MARK};
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE images (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL,
    target TEXT, reference TEXT, original BLOB
);
CREATE TABLE skipped (id INTEGER PRIMARY KEY, name TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE points (
    id INTEGER PRIMARY KEY, codec TEXT NOT NULL, settings TEXT NOT NULL, budget TEXT NOT NULL,
    mode TEXT NOT NULL, accounting TEXT NOT NULL,
    UNIQUE (codec, settings, budget, mode, accounting)
);
CREATE TABLE measurements (
    point INTEGER NOT NULL, image INTEGER NOT NULL, level INTEGER NOT NULL,
    file_bytes INTEGER, payload_bytes INTEGER, score REAL, rank INTEGER, agreement REAL,
    divergence REAL, encode_us REAL, decode_us REAL, encodes INTEGER NOT NULL, least INTEGER,
    data BLOB, view TEXT, record TEXT, picture_bytes INTEGER,
    PRIMARY KEY (point, image)
) WITHOUT ROWID;
CREATE {DESCRIPTIONS};
"""
"""The tables of a profile; what values lie in columns is also checked by it."""
_ADDED = {"record": "TEXT", "picture_bytes": "INTEGER"}
"""Columns of measurements that formats 4 and 5 added, in order, with their types."""
_RENAMED = '\'"accounting": "bare"\', \'"accounting": "payload"\''
"""In JSON."""
_UPDATES = (
    "UPDATE OR IGNORE points SET accounting = 'payload' WHERE accounting = 'bare'",
    f"UPDATE OR IGNORE searches SET key = REPLACE(key, {_RENAMED})",  # noqa: S608 - from above
    f"UPDATE searches SET points = REPLACE(points, {_RENAMED})",  # noqa: S608
    f"UPDATE meta SET value = '{FORMAT}' WHERE key = 'format'",  # noqa: S608
)
_VIEW = """
CREATE TEMP VIEW points AS SELECT id, codec, settings, budget, mode,
    CASE accounting WHEN 'bare' THEN 'payload' ELSE accounting END AS accounting FROM main.points
"""


def read_former(file: Database, known: int) -> None:
    """Show the tables of a file that is only read as those of today: by views, in memory.

    Args:
        file: the profile.
        known: its format.
    """
    with file.writing() as db:
        db.execute("PRAGMA temp_store = MEMORY")
        if known < 3:
            db.execute(f"CREATE TEMP {DESCRIPTIONS}")
            db.execute(_VIEW)
        columns = ["bare_bytes payload_bytes" if n == "bare_bytes" else n for n in _measured(file)]
        listed = ", ".join([*columns, *(f"NULL {name}" for name in _ADDED if name not in columns)])
        db.execute(f"CREATE TEMP VIEW measurements AS SELECT {listed} FROM main.measurements")  # noqa: S608


def update(file: Database, meta: dict[str, object]) -> None:
    """Bring a file up to date, all or nothing.

    Args:
        file: of a former format, with the table `searches`.
        meta: what the profile was made of, as it says today.
    """
    measured = _measured(file)
    former = "bare_bytes" in measured
    with file.writing() as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute(f"PRAGMA application_id = {MARK}")
        db.execute(f"CREATE {DESCRIPTIONS}")
        if former:
            db.execute("ALTER TABLE measurements RENAME COLUMN bare_bytes TO payload_bytes")
        for name, kind in _ADDED.items():
            if name not in measured:
                db.execute(f"ALTER TABLE measurements ADD COLUMN {name} {kind}")
        for statement in _UPDATES:
            db.execute(statement)
        for key in LATER:
            db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, json.dumps(meta[key])))


def _measured(file: Database) -> list[str]:
    """The columns of the table of measurements, by names that need no quotes."""
    names = [row[0] for row in file.all("SELECT name FROM pragma_table_info('measurements')")]
    return [name for name in names if str(name).isidentifier()]
