"""What the tables of a profile must hold: they come from strangers, and are checked when opened."""

from __future__ import annotations

from dataclasses import dataclass

from codecframe.core import registry
from codecframe.core.errors import DataError, shown
from codecframe.core.settings import MAX_LEVELS, Settings, option
from codecframe.evaluation.database import Database

_COUNT = "typeof({0}) = 'integer' AND {0} BETWEEN 0 AND 4294967295"
_SIDE = "typeof({0}) = 'integer' AND {0} BETWEEN 1 AND 1048576"
_LEVEL = "typeof({0}) = 'integer' AND {0} BETWEEN 0 AND 255"
_TEXT = "typeof({0}) = 'text'"
_BYTES = "typeof({0}) = 'blob'"
_NUMBER = "typeof({0}) IN ('real', 'integer') AND {0} BETWEEN -1e300 AND 1e300"
_SHARE = "typeof({0}) IN ('real', 'integer') AND {0} BETWEEN 0 AND 1"


def _or_null(condition: str) -> str:
    return f"{{0}} IS NULL OR ({condition})"


def _one_of(*values: str | int) -> str:
    return f"{{0}} IN ({', '.join(map(repr, values))})"


_COLUMNS = {
    "meta": {"key": _TEXT, "value": _TEXT},
    "images": {
        "id": _COUNT,
        "name": _TEXT,
        "height": _SIDE,
        "width": _SIDE,
        "target": _or_null(_TEXT),
        "reference": _or_null(_TEXT),
        "original": _or_null(_BYTES),
    },
    "skipped": {"id": _COUNT, "name": _TEXT, "reason": _TEXT},
    "points": {
        "id": _COUNT,
        "codec": _TEXT,
        "settings": _TEXT,
        "budget": _TEXT,
        "mode": _one_of("", "cap", "mean", "link"),
        "accounting": _TEXT,
    },
    "descriptions": {
        "point": _COUNT,
        "words": _TEXT,
        "knob": _TEXT,
        "ladder": _TEXT,
        "latents": _one_of(0, 1),
    },
    "measurements": {
        "point": _COUNT,
        "image": _COUNT,
        "level": _LEVEL,
        "file_bytes": _or_null(_COUNT),
        "payload_bytes": _or_null(_COUNT),
        "score": _or_null(_SHARE),
        "rank": _or_null(_COUNT),
        "agreement": _or_null(_SHARE),
        "divergence": _or_null(_NUMBER),
        "encode_us": _or_null(_NUMBER),
        "decode_us": _or_null(_NUMBER),
        "encodes": _COUNT,
        "least": _or_null(_COUNT),
        "data": _or_null(_BYTES),
        "view": _or_null(_TEXT),
    },
}
"""By table and column, the SQL condition that each value meets."""
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
    for table, columns in _COLUMNS.items():
        wrong = ", ".join(f"MAX(NOT ({what.format(name)}))" for name, what in columns.items())
        (found,) = file.all(f"SELECT {wrong} FROM {table}")  # noqa: S608 - names from above
        for name, is_wrong in zip(columns, found, strict=True):
            if is_wrong:
                raise DataError(str(file.path), f"is damaged: {table} have a wrong {name}")
    if file.all(_ORPHANS)[0][0]:
        raise DataError(str(file.path), "is damaged: it has measurements of nothing")
    _check_meta(file)
    _check_points(file)


def _check_meta(file: Database) -> None:
    said = {key: file.plain(value) for key, value in file.all("SELECT key, value FROM meta")}
    known = {key: said[key] for key in _Meta.__dataclass_fields__ if key in said}
    _Meta.from_source(known, f"{file.path}: is damaged")


def _check_points(file: Database) -> None:
    """Settings are mappings, and levels are of the codecs' knobs."""
    highest = dict(file.all("SELECT point, MAX(level) FROM measurements GROUP BY point"))
    levels = _levels(file)
    for number, name, settings in file.all("SELECT id, codec, settings FROM points"):
        if not isinstance(file.plain(settings), dict):
            raise DataError(str(file.path), f"is damaged: its settings are {shown(settings)}")
        known = levels.get(number) or _installed_levels(name)
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


def _installed_levels(name: str) -> int | None:
    codec = registry.default().codecs.get(name)
    if codec is None:
        return None
    knob = codec.settings_type.knob()
    return knob.levels if knob else 1
