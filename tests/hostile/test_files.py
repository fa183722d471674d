"""Files that are not what they should be: devices, pipes, endless chains, foreign databases."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from toyprofiles import make_table
from toys import toy_registry as installed

import codecframe
from codecframe.core.files import is_file, read_text
from codecframe.core.headfile import load as load_head
from codecframe.core.presets import Preset
from codecframe.evaluation.profile import ProfileTable
from codecframe.images import open_images
from codecframe.training import run_training
from codecframe.training.recipes import read_recipe

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")


@pipes
@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "long", "NUL", "absent", "large"])
def test_texts_are_regular_files_of_bounded_size(kind: str, tmp_path: Path) -> None:
    path: Any = tmp_path / "a.yaml"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "large":
        path.touch()
        os.truncate(path, 3 << 30)  # sparse
    elif kind != "absent":
        path = {"device": "/dev/zero", "long": "x" * 5000, "NUL": "a\0b"}[kind]
    assert is_file(path) == (kind == "large")
    for read in (read_text, Preset.read, read_recipe, load_head):
        with pytest.raises(codecframe.DataError):
            read(path)
    with pytest.raises(codecframe.DataError):
        ProfileTable.open(path)
    with pytest.raises(codecframe.CodecframeError):
        codecframe.get_codec(f"{path}.safetensors" if kind == "long" else str(path))


@pipes
def test_what_a_file_names_is_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "head.yaml").write_text("{model: x.onnx, labels: fifo}")
    with pytest.raises(codecframe.DataError, match="regular"):
        load_head(tmp_path / "head.yaml")
    for base in ("fifo", "/dev/zero"):
        (tmp_path / "r.yaml").write_text(f"extends: {base}")
        with pytest.raises(codecframe.DataError, match="regular"):
            read_recipe(tmp_path / "r.yaml")
    (tmp_path / "a.png").write_bytes(b"")
    for labels in (tmp_path / "fifo", "/dev/zero"):
        with pytest.raises(codecframe.DataError, match="regular"):
            open_images(tmp_path / "a.png", labels=labels)
    for suffix in (".safetensors", ".onnx"):
        os.mkfifo(tmp_path / f"m{suffix}")
        with pytest.raises(codecframe.CodecframeError):
            codecframe.get_head(str(tmp_path / f"m{suffix}"))


def test_recipes_extend_a_few_files(tmp_path: Path) -> None:
    for number in range(1200):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml")
    with pytest.raises(codecframe.DataError, match="more than 16 files"):
        run_training(tmp_path / "0.yaml", tmp_path)


def test_labels_of_many_digits_are_texts(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(b"")
    rows = f"file,label\na.png,7\nb.png,{'9' * 5000}\nc.png,{'1' * 30}\n"
    (tmp_path / "labels.csv").write_text(rows)
    found = open_images(tmp_path, labels=tmp_path / "labels.csv")
    assert [item.target for item in found] == [7, "9" * 5000, "1" * 30]


def test_names_with_a_nul_are_no_files() -> None:
    with pytest.raises(codecframe.DataError, match="no such file"):
        open_images(["a\0b.png"])


@pytest.mark.skipif(os.name == "nt", reason="of POSIX shells")
def test_a_closed_stdin_is_an_empty_one() -> None:
    closed = "import os, sys; os.close(0); me = sys.executable; os.execv(me, [me, *sys.argv[1:]])"
    code = "from codecframe.cli.main import main; main(['encode', '-', '-c', 'png', '-o', '-'])"
    command = [sys.executable, "-c", closed, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "codecframe: left out stdin: " in done.stderr
    assert "Traceback" not in done.stderr


# -- profiles --------------------------------------------------------------------------------------

SCHEMAS = {
    "view": ("CREATE VIEW v AS SELECT 1", "'view'"),
    "endless view": (
        "DROP TABLE meta; CREATE VIEW meta AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL "
        "SELECT x + 1 FROM c) SELECT x AS key, x AS value FROM c",
        "'view'",
    ),
    "trigger": ("CREATE TRIGGER t AFTER INSERT ON meta BEGIN SELECT 1; END", "'trigger'"),
    "computed": ("ALTER TABLE images ADD COLUMN x AS (hex(zeroblob(9999)))", "computed"),
    "table": ("DROP TABLE points", "points"),
    "column": ("ALTER TABLE points RENAME COLUMN codec TO x", "codec"),
    "text": ("UPDATE measurements SET score = 'x'", "score"),
    "share": ("UPDATE measurements SET agreement = 1.5", "agreement"),
    "level": ("UPDATE measurements SET level = 256", "level"),
    "side": ("UPDATE images SET height = 1 << 40", "height"),
    "bytes": ("UPDATE measurements SET payload_bytes = -1", "payload_bytes"),
    "infinite": ("UPDATE measurements SET encode_us = 9e999", "encode_us"),
    "orphans": ("DELETE FROM images", "of nothing"),
    "json": ("UPDATE points SET settings = '{' WHERE id = 1", "JSON"),
    "deep json": (
        "UPDATE points SET settings = replace(hex(zeroblob(99999)), '0', '[') WHERE id = 1",
        "JSON",
    ),
    "digits": (
        "UPDATE points SET settings = '{\"a\": 1' || printf('%05000d', 1) || '}' WHERE id = 1",
        "JSON",
    ),
    "list": ("UPDATE points SET settings = '[]' WHERE id = 1", "settings are"),
    "head": ("UPDATE meta SET value = '[7]' WHERE key = 'head'", "is damaged: 'head' is"),
    "not UTF-8": ("UPDATE points SET codec = CAST(x'ff' AS TEXT) WHERE id = 1", "UTF-8"),
    "application": ("PRAGMA application_id = 77", None),
}


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "a.profile"
    with installed():
        make_table(path).close()
    return path


@pytest.mark.parametrize("kind", SCHEMAS)
def test_profiles_of_strangers_hold_plain_tables(kind: str, profile: Path, tmp_path: Path) -> None:
    script, reason = SCHEMAS[kind]
    path = tmp_path / "b.profile"
    path.write_bytes(profile.read_bytes())
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)
    before = path.read_bytes()
    if reason is None:
        ProfileTable.open(path).close()
    else:
        with pytest.raises(codecframe.DataError, match=reason):
            ProfileTable.open(path)
    assert path.read_bytes() == before


def test_a_profile_is_only_read(profile: Path, tmp_path: Path) -> None:
    path = tmp_path / "a?b#c.profile"  # a name that means something in a URI
    path.write_bytes(profile.read_bytes())
    path.chmod(0o400)
    with installed(), ProfileTable.open(path) as table:
        assert table.rows()
        with pytest.raises(codecframe.DataError):
            table.clear(1)
    assert path.read_bytes() == profile.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_profile_of_a_run_that_was_killed_is_read(profile: Path, tmp_path: Path) -> None:
    path = tmp_path / "killed.profile"
    path.write_bytes(profile.read_bytes())
    program = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute('PRAGMA cache_size = 1'); db.execute('BEGIN');"
        "db.execute('UPDATE measurements SET score = 7, view = hex(zeroblob(20000))');"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert path.with_name("killed.profile-journal").exists()
    with installed(), ProfileTable.open(path) as table, ProfileTable.open(profile) as whole:
        assert table.rows() == whole.rows()
