"""What commands do to files: nothing is lost, nothing left behind, nothing named twice."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from files import member
from PIL import Image as PilImage
from toys import picture

from .conftest import Result

Run = Callable[..., Result]
PROGRAM = Path(sys.executable).with_name("codecframe")


def save(path: Path, seed: int = 0, size: int = 32) -> bytes:
    """A picture in the format that the name says; its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(picture(seed, size, size)).save(path)
    return path.read_bytes()


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def shard(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    with tarfile.open(path, mode) as made:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))


def names(path: Path) -> list[str]:
    with tarfile.open(path) as made:
        return made.getnames()


# -- inputs ----------------------------------------------------------------------------------


def hard(source: Path, link: Path) -> None:
    os.link(source, link)


def soft(source: Path, link: Path) -> None:
    link.symlink_to(source.name)


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode", "a.jpg", "-c", "jpeg"],
        ["encode", "a.jpg", "-c", "jpeg", "-o", "./a.jpg"],
        ["encode", "in", "-c", "jpeg", "-o", "in"],
        ["encode", "a.jpg", "-c", "jpeg", "-o", "hard.jpg"],
        ["encode", "a.jpg", "-c", "jpeg", "-o", "soft.jpg"],
        ["encode", "soft.jpg", "-c", "jpeg", "-o", "a.jpg"],
        ["encode", "a.jpg", "-c", "webp", "-o", "in/b.jpg"],  # somebody's, not an input
        ["decode", "a.webp"],
        ["decode", "a.webp", "-o", "in/b.jpg"],
        ["decode", "a.png", "-o", "."],
        ["profile", "a.jpg", "--head", "shades:classify", "-c", "jpeg", "-o", "a.jpg"],
        ["profile", "a.jpg", "--head", "shades:classify", "-c", "jpeg", "-o", "a.jpg", "--force"],
        ["profile", "a.jpg", "--head", "shades:classify", "-c", "jpeg", "-o", "theirs.db"],
        ["report", "p.profile", "-o", "p.profile"],
        ["report", "p.profile", "-o", "a.jpg"],
        ["bench", "encoders", "-o", "a.jpg"],
        ["demo", "-o", "theirs"],
        ["transcode", "in", ".", "-c", "jpeg"],
        ["transcode", "in/b.jpg", "in", "-c", "jpeg", "--force"],
        ["tune", "webp", "--images", "in", "--head", "shades:classify", "-b", "4bpp",
         "-o", "in/b.jpg"],
        ["tune", "webp", "--images", "in", "--head", "shades:classify", "-b", "4bpp",
         "-o", "theirs.yaml"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_file_is_lost_that_a_command_did_not_make(
    run_here: Run, head_module: str, tmp_path: Path, arguments: list[str]
) -> None:
    save(tmp_path / "a.jpg")
    save(tmp_path / "a.webp")
    save(tmp_path / "a.png", 7)
    save(tmp_path / "in" / "b.jpg")
    hard(tmp_path / "a.jpg", tmp_path / "hard.jpg")
    soft(tmp_path / "a.jpg", tmp_path / "soft.jpg")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "report.html").write_text("<html>years</html>")
    (tmp_path / "theirs.yaml").write_text("codec: webp\nsettings: {quality: 3}\n")
    with contextlib.closing(sqlite3.connect(tmp_path / "theirs.db")) as base, base:
        base.execute("CREATE TABLE images (name TEXT)")
    if "report" in arguments:
        made = run_here("profile", "in", "--head", head_module, "-c", "jpeg", "--levels", "50",
                   "-o", "p.profile")  # fmt: skip
        assert made.code == 0
    before = files(tmp_path)
    done = run_here(*arguments)
    assert done.code == 1, done.out
    assert "cannot write" in done.err or "holds something else" in done.err
    assert {name: data for name, data in files(tmp_path).items() if name in before} == before


def test_what_was_made_may_be_made_again(run_here: Run, head_module: str, tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / "in" / f"{i}.png", i)
    profile = ["--head", head_module, "-c", "webp", "--levels", "50", "-o", "p.profile"]
    for arguments in (
        ["encode", "in", "-c", "webp", "-o", "out"],
        ["decode", "out/0.webp", "out/1.webp", "-o", "back/"],
        ["transcode", "in", "small", "-c", "webp"],
        ["profile", "in", *profile],
        ["report", "p.profile", "-o", "r.html"],
        ["report", "p.profile", "-o", "r.html", "-b", "20bpp"],
    ):
        for _ in range(2):
            done = run_here(*arguments)
            assert done.code == 0, (arguments, done.err)
    (tmp_path / "out" / "2.webp").unlink()
    (tmp_path / "out" / "1.webp").write_bytes(b"")  # nothing is lost with it
    before = files(tmp_path / "out")
    assert run_here("encode", "in", "-c", "webp", "-o", "out").code == 0
    assert len(files(tmp_path / "out")) == 4 and files(tmp_path / "out") != before


def test_force_replaces(run_here: Run, head_module: str, tmp_path: Path) -> None:
    first = save(tmp_path / "a.jpg")
    assert run_here("encode", "a.jpg", "-c", "jpeg", "-s", "quality=5", "--force").code == 0
    assert 0 < (tmp_path / "a.jpg").stat().st_size < len(first)
    save(tmp_path / "in" / "0.png")
    (tmp_path / "r.html").write_text("mine")
    (tmp_path / "p").write_text("mine")
    profile = ("profile", "in", "--head", head_module, "-c", "webp", "--levels", "50", "-o", "p")
    for arguments in (profile, ("report", "p", "-o", "r.html")):
        assert run_here(*arguments).code == 1
        assert run_here(*arguments, "--force").code == 0
        assert run_here(*arguments).code == 0


def test_force_lets_transcode_replace_all_that_it_makes(run_here: Run, tmp_path: Path) -> None:
    save(tmp_path / "in" / "0.png", size=64)
    old = save(tmp_path / "out" / "0.webp", 5)
    (tmp_path / "out" / "thesis.txt").write_text("years")
    work = ("transcode", "in", "out", "-c", "webp")
    assert run_here(*work).code == 1 and (tmp_path / "out" / "0.webp").read_bytes() == old
    assert run_here(*work, "--force").code == 0
    new = (tmp_path / "out" / "0.webp").read_bytes()
    assert new != old and (tmp_path / "out" / "thesis.txt").read_text() == "years"
    assert run_here(*work, "-s", "quality=3").code == 1
    assert run_here(*work, "-s", "quality=3", "--force").code == 0
    assert len((tmp_path / "out" / "0.webp").read_bytes()) < len(new)


# -- names -----------------------------------------------------------------------------------


def test_every_input_has_an_output_of_its_own(run_here: Run, tmp_path: Path) -> None:
    for name in ("cat/1.webp", "dog/1.webp", "dog/1.jpg", "dog/2.png"):
        save(tmp_path / "in" / name, len(name))
    sources = [f"in/{name}" for name in ("cat/1.webp", "dog/1.webp", "dog/1.jpg", "dog/2.png")]
    expected = {"cat/1", "dog/1.webp", "dog/1.jpg", "dog/2"}
    decoded = run_here("decode", *sources, "-o", "decoded/", "--json")
    assert decoded.code == 0 and len({row["output"] for row in decoded.json["images"]}) == 4
    assert set(files(tmp_path / "decoded")) == {f"{name}.png" for name in expected}
    assert run_here("encode", "in", "-c", "avif", "-o", "encoded").code == 0
    assert set(files(tmp_path / "encoded")) == {f"{name}.avif" for name in expected}
    assert run_here("transcode", "in", "small", "-c", "avif").code == 0
    small = files(tmp_path / "small")
    del small["transcode.json"]
    assert small == files(tmp_path / "encoded")


def test_a_sample_with_two_images_keeps_both(run_here: Run, tmp_path: Path) -> None:
    photo, mask = save(tmp_path / "p.jpg"), save(tmp_path / "m.png", 1)
    shard(tmp_path / "s.tar", {"000.jpg": photo, "000.png": mask, "000.json": b"{}",
                               "./001.jpg": photo, "001.webp.txt": b"x"})  # fmt: skip
    assert run_here("transcode", "s.tar", "out", "-c", "webp").code == 0
    assert names(tmp_path / "out" / "s.tar") == [
        "000.jpg.webp", "000.png.webp", "000.json", "./001.webp", "001.webp.txt",
    ]  # fmt: skip


# -- shards ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz")])
def test_compressed_shards_and_members_that_stay_as_they_are(
    run_here: Run, tmp_path: Path, suffix: str, mode: str
) -> None:
    photo, mask = save(tmp_path / "p.jpg"), save(tmp_path / "m.png", 1)
    members = {
        "000.jpg": photo,
        "000.seg.png": mask,
        "._000.jpg": b"\0\5\x16\7Mac OS X",
        "1.cls": b"2",
    }
    shard(tmp_path / f"s.{suffix}", members, mode)
    done = run_here(
        "transcode", f"s.{suffix}", "out", "-c", "webp", "--except", "*.seg.png", "--json"
    )
    assert done.code == 0, done.err
    assert (done.json["images"], done.json["kept"]) == (1, 1)
    made = tmp_path / "out" / f"s.{suffix}"
    assert names(made) == ["000.webp", "000.seg.png", "1.cls"]
    with tarfile.open(made, mode.replace("w", "r")) as read:
        assert member(read, "000.seg.png") == mask
    again = run_here("transcode", f"s.{suffix}", "out2", "-c", "webp", "--only", "*.jpg")
    assert again.code == 0
    assert (tmp_path / "out2" / f"s.{suffix}").read_bytes() == made.read_bytes()


def test_images_of_a_folder_that_stay_as_they_are_are_copied(run_here: Run, tmp_path: Path) -> None:
    save(tmp_path / "in" / "x" / "0.jpg")
    mask = save(tmp_path / "in" / "x" / "0.png", 1)
    assert run_here("transcode", "in", "out", "-c", "webp", "--except", "x/*.png").code == 0
    made = files(tmp_path / "out")
    assert set(made) == {"x/0.webp", "x/0.png", "transcode.json"} and made["x/0.png"] == mask


# -- what cannot be read ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode", "in", "-c", "webp", "-o", "out"],
        ["transcode", "in", "out", "-c", "webp"],
        ["classify", "in", "--head", "shades:classify"],
        [
            "decode",
            "in/0.png",
            "in/1.png",
            "in/absent.png",
            "in/cut.png",
            "in/round.png",
            "-o",
            "o/",
        ],
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_cannot_be_read_is_left_out_told_and_counted(
    run_here: Run, head_module: str, tmp_path: Path, arguments: list[str]
) -> None:
    whole = save(tmp_path / "in" / "0.png")
    save(tmp_path / "in" / "1.png", 1)
    (tmp_path / "in" / "absent.png").symlink_to("nowhere.png")
    (tmp_path / "in" / "round.png").symlink_to("round.png")
    (tmp_path / "in" / "cut.png").write_bytes(whole[: len(whole) // 2])
    done = run_here(*arguments, "--json")
    assert done.code == 1
    told = [line for line in done.err.splitlines() if "left out" in line]
    assert sorted(name in line for line in told for name in ("absent", "round", "cut")) == (
        [False] * 6 + [True] * 3
    )
    count = done.json["images"]
    assert (count if isinstance(count, int) else len(count)) == 2


# -- names that are not UTF-8 ----------------------------------------------------------------


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are Unicode there")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_that_are_not_utf_8(
    run: Run, head_module: str, tmp_path: Path, encoding: str
) -> None:
    save(tmp_path / "a.png")
    folder = os.fsencode(tmp_path) + b"/in"
    os.mkdir(folder)
    for name in (b"caf\xe9.png", "größe.png".encode()):
        with open(folder + b"/" + name, "wb") as file:
            file.write((tmp_path / "a.png").read_bytes())
    with open(folder + b"/b\xe4d.png", "wb") as file:
        file.write(b"nothing")
    profile = ("profile", "in", "--head", head_module, "-c", "webp", "--levels", "9", "-o", "p")
    for arguments, code in (
        (("encode", "in", "-c", "webp", "-o", "out"), 1),
        (("classify", "in", "--head", head_module), 1),
        (("transcode", "in", "small", "-c", "webp"), 1),
        (profile, 1),
        (("report", "p", "-o", "r.html"), 0),
    ):
        done = run(*arguments, PYTHONIOENCODING=encoding)
        assert done.code == code, done.err
        assert "\ufffd" not in done.out
    assert os.path.exists(os.fsencode(tmp_path) + b"/out/caf\xe9.webp")
    found = run("classify", "in", "--head", head_module, "--json", PYTHONIOENCODING=encoding)
    assert [os.fsencode(row["name"]) for row in json.loads(found.out)["images"]] == [
        b"caf\xe9.png", "größe.png".encode(),
    ]  # fmt: skip
    assert "größe.png" in found.out


# -- being ended -----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_whole_files_only(tmp_path: Path, number: signal.Signals) -> None:
    data = save(tmp_path / "p.png", size=96)
    shard(tmp_path / "s.tar", {f"{i:04}.png": data for i in range(3000)})
    process = subprocess.Popen(
        [PROGRAM, "transcode", "s.tar", "out", "-c", "avif"], cwd=tmp_path, stderr=subprocess.PIPE
    )
    record = tmp_path / "out" / "transcode.json"
    while process.poll() is None and not (record.exists() and list(tmp_path.glob("out/.*.tmp"))):
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 128 + number, err
    assert b"Traceback" not in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["transcode.json"]


def test_a_ctrl_c_that_python_can_only_ignore_comes_once_more() -> None:
    program = """
import signal, sys
from codecframe.cli import main
class Late:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
def run(arguments):
    try:
        late = Late()
        del late
        for _ in range(10**9): pass
    except KeyboardInterrupt:
        return main.INTERRUPTED
main.run = run
main.main([])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
@pytest.mark.parametrize("arguments", [["codecs", "jpeg"], ["codecs", "--json"], ["--help"]])
def test_a_reader_that_goes_away_ends_a_command_quietly(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [PROGRAM, *arguments], stdout=write, stderr=subprocess.PIPE, timeout=120, check=False
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
