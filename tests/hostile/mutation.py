"""Damage to files, at random but repeatable; `fuzz.py` tries what comes of it."""

from __future__ import annotations

import json
import random
import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

# -- bytes ---------------------------------------------------------------------------------------

_NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 64) - 1]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One to eight changes."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        at = rng.randrange(max(len(found), 1))
        end = at + rng.choice([1, 2, 4, 16, 256, 4096])
        match rng.randrange(7):
            case 0:
                found[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                found[at : at + 1] = bytes([found[at] ^ 1 << rng.randrange(8)]) if found else b""
            case 2:
                del found[at:end]
            case 3:
                found[at:at] = found[at:end] * rng.choice([1, 1, 50])
            case 4:
                found[at:end] = rng.randbytes(len(found[at:end]))
            case 5:
                kind = rng.choice("><") + rng.choice("BHIQ")
                number = rng.choice(_NUMBERS) % (1 << 8 * struct.calcsize(kind))
                piece = struct.pack(kind, number)
                found[at : at + len(piece)] = piece
            case 6:
                del found[at:]
    return bytes(found)


def damage_bytes(path: Path, rng: random.Random) -> None:
    """Of any file."""
    path.write_bytes(damaged(path.read_bytes(), rng))


def leave(path: Path, rng: random.Random) -> None:
    """Damage nothing."""


def damage_tail(path: Path, rng: random.Random) -> None:
    """Of a file whose first line is JSON: the bytes behind it, or a value in it."""
    line, _, data = path.read_bytes().partition(b"\n")
    said = json.loads(line)
    if rng.random() < 0.2:
        key = rng.choice(sorted(said))
        said[key] = nearby(said[key], rng)
    if rng.random() < 0.9:
        data = damaged(data, rng)
    path.write_bytes(json.dumps(said).encode() + b"\n" + data)


def nearby(value: Any, rng: random.Random) -> Any:
    """Another value of the same kind."""
    if isinstance(value, list) and value:
        found = value.copy()
        at = rng.randrange(len(found))
        found[at] = nearby(found[at], rng)
        return found
    if isinstance(value, int) and not isinstance(value, bool):
        return rng.choice([0, 1, value - 1, value + 1, 2 * value, 17, 255, 4096, 65535])
    return value


def damage_json(path: Path, rng: random.Random) -> None:
    """By its text or by what it says."""
    text = path.read_text(encoding="utf-8")
    if rng.random() < 0.6:
        values = json.loads(text)
        for _ in range(rng.choice([1, 1, 3])):
            values = changed(values, rng)
        with suppress(ValueError, TypeError):  # a number too long to be written: as text, below
            path.write_text(json.dumps(values), encoding="utf-8", errors="replace")
            return
    at = rng.randrange(len(text) + 1)
    text = text[:at] + rng.choice(_PIECES) + text[at + rng.choice([0, 1, 9]) :]
    path.write_text(text, encoding="utf-8")


_WORDS = (
    *("codec=jpeg", "codec=png", "codec=vae", "codec=", "height=16", "width=24", "height=4096"),
    *("width=65535", "level=0", "level=255", "level=256", "top=1", "top=100", "top=1e9", "set=a"),
    *("set=quality=[[[[", "set=subsampling=4:4:4", "set=" + "%5b" * 3000, "codec=%ff%fe", "="),
    *("height=%d9%a3", "%00=%ff", "top=" + "9" * 5000, "set=quality=0x" + "f" * 900),
    "set=quality=%26a%20%2aa",
)  # fmt: skip


def damage_post(path: Path, rng: random.Random) -> None:
    """Of a file whose first line is a query and whose rest is posted."""
    line, _, data = path.read_bytes().partition(b"\n")
    words = line.decode("ascii").split("&")
    for _ in range(rng.choice([0, 0, 1, 2, 5])):
        at = rng.randrange(len(words) + 1)
        words[at : at + rng.randrange(2)] = [rng.choice(_WORDS)]
    if rng.random() < 0.7:
        data = damaged(data, rng)
    path.write_bytes("&".join(words).encode() + b"\n" + data)


# -- plain data ------------------------------------------------------------------------------------

VALUES: list[Any] = [
    *(None, True, 0, -1, 1, 255, 256, 1 << 31, 1 << 63, 10**39, -(10**400), 10**3000),
    *(0.5, 1e308, -1e-320, float("inf"), float("nan"), "", "x", "\0", "é" * 5000, "../../x"),
    *([], {}, [[]], [0] * 5000, {"a": {"b": []}}, [[[[[[[[0]]]]]]]], {"": 0}),
]


def changed(value: Any, rng: random.Random) -> Any:
    """Plain data with one value, key or item changed."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        found: Any = value.copy()
        keys = list(found) if isinstance(found, dict) else range(len(found))
        key = rng.choice(keys)
        match rng.randrange(6):
            case 0:
                del found[key]
            case 1 if isinstance(found, dict):
                found[rng.choice([f"{key}x", "extends", "preset", "model", 7, None])] = found[key]
            case 2 if isinstance(found, list):
                found.extend(found * rng.choice([1, 1000 // len(found) + 1]))
            case _:
                found[key] = changed(found[key], rng)
        return found
    return rng.choice(VALUES)


_PIECES = (
    *("[" * 2000, "{" * 2000, "&a ", "*a", "!!bool x", "!!timestamp x", "!!binary x", "- " * 900),
    *("9" * 400, "9" * 5000, ": ", "\n", "? ", "<<: {", "''", '"', "|", "%YAML 9.9\n", "\0", "\t"),
    *("1e999999999", "0x" + "f" * 400, "-.inf", "\ufeff", "2001-99-99", "[" * 40 + "]" * 40),
)


def damage_yaml(path: Path, rng: random.Random) -> None:
    """By its text or by what it says."""
    from codecframe.core import yamltext

    text = path.read_text(encoding="utf-8")
    if rng.random() < 0.4:
        values = yamltext.load(text)
        for _ in range(rng.choice([1, 1, 3])):
            values = changed(values, rng)
        with suppress(ValueError, RecursionError):  # what cannot be written: as text, below
            path.write_text(yamltext.dump(values), encoding="utf-8", errors="replace")
            return
    if rng.random() < 0.3:
        damage_bytes(path, rng)
        return
    at = rng.randrange(len(text) + 1)
    piece = rng.choice(_PIECES)
    path.write_text(text[:at] + piece + text[at + rng.choice([0, 1, 9]) :], encoding="utf-8")


# -- profiles --------------------------------------------------------------------------------------

_CELLS = [
    *("NULL", "-1", "0", "255", "4294967296", "9223372036854775807", "1e308", "9e999", "'x'"),
    *("''", "x'00ff'", "zeroblob(100000)", "'[' || hex(zeroblob(3000))", "'null'", "'{}'", "'[]'"),
    *("CAST(x'ff' AS TEXT)", "'NaN'", "0.5", "printf('%05000d', 7)", "replace(hex(zeroblob(9000)),"
      "'0', '[')", "'{\"quality\": [[1]]}'", "'\"x\"'", "'{\"label\": 7}'"),
]  # fmt: skip
_SCHEMAS = [
    "CREATE VIEW v AS SELECT 1",
    "CREATE TRIGGER t AFTER INSERT ON points BEGIN SELECT 1; END",
    "DROP TABLE images",
    "DROP TABLE measurements; CREATE VIEW measurements AS WITH RECURSIVE c(x) AS (SELECT 1 UNION "
    "ALL SELECT x + 1 FROM c) SELECT x AS point, x AS image, 1 AS level FROM c",
    "DROP TABLE meta; CREATE VIEW meta AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM"
    " c) SELECT x AS key, x AS value FROM c",
    "ALTER TABLE images RENAME COLUMN height TO tall",
    "ALTER TABLE points ADD COLUMN more AS (hex(zeroblob(1000000)))",
    "DELETE FROM points",
    "DELETE FROM images",
    "DELETE FROM meta",
    "DELETE FROM measurements",
    "UPDATE measurements SET image = image + 1000",
    "UPDATE points SET codec = 'no such codec'",
    "UPDATE points SET codec = '/dev/zero.safetensors'",
    "PRAGMA application_id = 7",
    "PRAGMA journal_mode = WAL",
    "PRAGMA user_version = 99",
    "CREATE VIRTUAL TABLE f USING fts5(x)",
]


def damage_profile(path: Path, rng: random.Random) -> None:
    """By its bytes, by its values, or by its schema."""
    way = rng.random()
    if way < 0.5:
        damage_bytes(path, rng)
        return
    with closing(sqlite3.connect(path)) as db, suppress(sqlite3.Error):
        if way < 0.7:
            db.executescript(rng.choice(_SCHEMAS))
            return
        table = rng.choice(["meta", "images", "points", "measurements", "searches", "skipped"])
        column = rng.choice([row[1] for row in db.execute(f"PRAGMA table_info({table})")])
        where = rng.choice(["", " WHERE rowid % 3 = 0", " WHERE abs(random()) % 2 = 0"])
        if table == "measurements":
            where = rng.choice(["", " WHERE image % 3 = 0"])
        db.execute(f"UPDATE OR IGNORE {table} SET {column} = {rng.choice(_CELLS)}{where}")
        db.commit()


# -- model files -----------------------------------------------------------------------------------


def damage_model(path: Path, rng: random.Random) -> None:
    """By its bytes; or by manifest, tables or graphs, with digests that are right."""
    import copy
    import dataclasses

    import numpy as np

    from codecframe_vae.runtime import modelfile

    if rng.random() < 0.2:
        damage_bytes(path, rng)
        return
    manifest = modelfile.read_manifest(path)
    arrays = modelfile.read_arrays(path, manifest)
    for _ in range(rng.choice([1, 1, 2])):
        name = rng.choice(sorted(arrays))
        if rng.random() < 0.3:
            name = rng.choice([key for key in sorted(arrays) if key.endswith(".onnx")])
        array = arrays[name]
        match rng.randrange(6):
            case 0:
                field = rng.choice([f.name for f in dataclasses.fields(manifest)])
                value = changed(getattr(manifest, field), rng)
                manifest = copy.copy(manifest)
                object.__setattr__(manifest, field, value)  # past its own checks
            case 1:
                arrays[name] = array.ravel()[: rng.randrange(array.size + 1)]
            case 2:
                del arrays[name]
                if not arrays:
                    return
            case 3:
                arrays[name] = array.astype(rng.choice(["u1", "i8", "f4", "f8"]))
            case _:
                data = damaged(array.tobytes(), rng)[: array.nbytes].ljust(array.nbytes, b"\0")
                arrays[name] = np.frombuffer(data, array.dtype).reshape(array.shape)
    with suppress(TypeError, ValueError, AttributeError, OverflowError):  # no such file can be
        modelfile.write_model(path, arrays, manifest)
