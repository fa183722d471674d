"""What the tables of a profile must hold: they come from strangers, and are checked when opened."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from functools import cache

from codecframe.core import registry
from codecframe.core.errors import DataError, shown
from codecframe.core.settings import MAX_LEVELS, Settings, option
from codecframe.evaluation.database import Database
from codecframe.evaluation.profile import formats

_NUMBERS = "typeof({0}) IN ('real', 'integer') AND {0} BETWEEN"
_INTEGERS = "typeof({0}) = 'integer' AND {0} BETWEEN"
_OF_TYPE = {
    "INTEGER": f"{_INTEGERS} 0 AND 4294967295",
    "REAL": f"{_NUMBERS} -1e300 AND 1e300",
    "TEXT": "typeof({0}) = 'text'",
    "BLOB": "typeof({0}) = 'blob'",
}
"""The SQL condition that each value of a column meets, by the column's type."""
_OF_COLUMN = {
    **dict.fromkeys(("height", "width"), f"{_INTEGERS} 1 AND 1048576"),
    **dict.fromkeys(("score", "agreement"), f"{_NUMBERS} 0 AND 1"),
    "level": f"{_INTEGERS} 0 AND 255",
    "latents": f"{_INTEGERS} 0 AND 1",
    "mode": "{0} IN ('', 'cap', 'mean', 'link')",
}
"""The same of columns that hold less than their type can."""
_ORPHANS = (
    "SELECT COUNT(*) FROM measurements WHERE point NOT IN (SELECT id FROM points)"
    " OR image NOT IN (SELECT id FROM images)"
)
_MOST = 1e300
"""No value of a knob is as large; NaN is not below it either."""
_LONGEST = 4096
"""Characters of a text in `meta`."""


@dataclass(frozen=True, kw_only=True)
class _Meta(Settings):
    """What `meta` says of it, where it does."""

    head: str = option("", high=_LONGEST, help="the head's name")
    metric: str = option("", high=_LONGEST, help="what a score is")
    task: str = option("classification", high=_LONGEST, help="what is scored")
    labelled: bool = option(False, help="whether images have labels")
    prepared: bool = option(False, help="whether images have the head's geometry")
    images: int = option(0, help="how many")
    first_image: str = option("", high=_LONGEST, help="its name")
    reference: str = option("", high=_LONGEST, help="the head that scores are compared to")


def check(file: Database) -> None:
    """Refuse tables that do not hold what a profile's do.

    Raises:
        DataError: names the first column that is wrong.
    """
    for table, columns in _columns().items():
        wrong = ", ".join(f"MAX(NOT ({condition}))" for condition in columns.values())
        (found,) = file.all(f"SELECT {wrong} FROM {table}")  # noqa: S608 - names from above
        for name, is_wrong in zip(columns, found, strict=True):
            if is_wrong:
                raise DataError(str(file.path), f"is damaged: {table} have a wrong {name}")
    if file.all(_ORPHANS)[0][0]:
        raise DataError(str(file.path), "is damaged: it has measurements of nothing")
    said = {key: file.plain(value) for key, value in file.all("SELECT key, value FROM meta")}
    known = {key: said[key] for key in _Meta.__dataclass_fields__ if key in said}
    _Meta.from_source(known, f"{file.path}: is damaged")
    _check_points(file)


@cache
def _columns() -> dict[str, dict[str, str]]:
    """By table and column of the schema, the SQL condition that each value meets."""
    found: dict[str, dict[str, str]] = {}
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(formats.SCHEMA)
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            columns = found[table] = {}
            for _, name, kind, needed, _, key in db.execute(f"PRAGMA table_info({table})"):
                condition = _OF_COLUMN.get(name, _OF_TYPE[kind]).format(name)
                columns[name] = condition if needed or key else f"{name} IS NULL OR ({condition})"
    return found


def _check_points(file: Database) -> None:
    """Settings are mappings, and levels are of the codecs' knobs."""
    highest = dict(file.all("SELECT point, MAX(level) FROM measurements GROUP BY point"))
    levels = _levels(file)
    for number, name, settings in file.all("SELECT id, codec, settings FROM points"):
        if not isinstance(file.plain(settings), dict):
            raise DataError(str(file.path), f"is damaged: its settings are {shown(settings)}")
        codec = registry.default().codecs.get(name)
        known = levels.get(number) or (codec and codec.settings_type.knob_levels())
        if known and highest.get(number, 0) >= known:
            raise DataError(str(file.path), f"is damaged: {name} has no level {highest[number]}")


def _levels(file: Database) -> dict[int, int]:
    """How many levels the knob of each point has, as far as the file says."""
    found = {}
    for number, knob, text in file.all("SELECT point, knob, ladder FROM descriptions"):
        ladder = file.plain(text)
        if not _is_ladder(ladder) or bool(ladder) != bool(knob):
            raise DataError(str(file.path), f"is damaged: a knob has the values {shown(ladder)}")
        found[number] = len(ladder) or 1
    return found


def _is_ladder(values: object) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= MAX_LEVELS
        and all(type(value) in (int, float) and abs(value) < _MOST for value in values)
    )
