"""Damage to files, at random but repeatable, and a watch over what is done with them.

As a program it tries many: `python tests/hostile/mutation.py profiles --count 1000 --seed 1`.
"""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import struct
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Mutate = Callable[[Path, random.Random], None]
Use = Callable[[Path], None]

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


# -- the watch -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """What went wrong with one damaged file."""

    number: int
    what: str


def _memory_peak() -> int:
    """Bytes; 0 where the system does not say."""
    with suppress(OSError):  # Linux adds the parent's peak to what `getrusage` tells
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _work(link: Connection, original: Path, folder: Path, mutate: Mutate, use: Use) -> None:
    """Damage the file by each number that comes, use it, and say how that ended."""
    from codecframe.core.errors import CodecframeError

    path = folder / original.name
    link.send(None)  # started: from now on time counts
    while (number := link.recv()) is not None:
        path.unlink(missing_ok=True)
        path.write_bytes(original.read_bytes())
        mutate(path, random.Random(number))
        before, trouble = _memory_peak(), ""
        try:
            use(path)
        except CodecframeError as error:
            trouble = "" if len(str(error)) < 2000 else f"a message of {len(str(error))} characters"
        except BaseException:
            trouble = traceback.format_exc(limit=-4)
        link.send((trouble, _memory_peak() - before))


def watch(
    original: Path,
    mutate: Mutate,
    use: Use,
    numbers: range,
    folder: Path,
    *,
    seconds: float = 60.0,
    most_bytes: int = 1 << 30,
) -> Iterator[Finding]:
    """Use the file once for each number, damaged by it: what is no `CodecframeError`, ends the
    process, takes more memory or more time is yielded.
    """
    context = multiprocessing.get_context("spawn")
    worker: Any = None
    link: Any = None
    for number in numbers:
        if worker is None:
            link, end = context.Pipe()
            worker = context.Process(target=_work, args=(end, original, folder, mutate, use))
            worker.start()
            end.close()
            link.recv()
        link.send(number)
        found = ""
        try:
            if link.poll(seconds):
                found, grown = link.recv()
                if grown > most_bytes:
                    found = found or f"takes {grown >> 20} MiB"
            else:
                found = f"takes more than {seconds:g} s"
        except (EOFError, ConnectionError):
            worker.join()
            found = f"ends the process: {worker.exitcode}"
        if found:
            yield Finding(number, found)
        if found.startswith(("takes", "ends")):
            worker.kill()
            worker.join()
            worker = None
    if worker is not None:
        link.send(None)
        worker.join()


if __name__ == "__main__":
    import argparse
    import tempfile

    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]
    import targets

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(targets.TARGETS))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        make, mutate, use = targets.TARGETS[asked.kind]
        original = make(Path(scratch))
        (Path(scratch) / "work").mkdir()
        first = asked.seed * 1_000_000
        total = 0
        for finding in watch(
            original, mutate, use, range(first, first + asked.count), Path(scratch) / "work",
            seconds=asked.seconds,
        ):  # fmt: skip
            total += 1
            print(finding.number, finding.what, flush=True)
        print(f"{asked.kind}: {total} findings in {asked.count}")
