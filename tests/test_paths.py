from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import codecframe
from codecframe.core import files as paths
from codecframe.core.errors import OutputError
from codecframe.core.files import data_root, write_whole


def test_writes_bytes_and_text_and_makes_folders(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b" / "file", b"\x00\xff")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"\x00\xff"
    write_whole(str(tmp_path / "a" / "text"), "größer")
    assert (tmp_path / "a" / "text").read_text(encoding="utf-8") == "größer"
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["b", "text"]


def test_permissions_are_the_user_s(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", b"")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def fail(_: int) -> None:
        raise failure

    monkeypatch.setattr(paths.os, "fsync", fail)
    with pytest.raises((KeyboardInterrupt, OutputError)) as caught:
        write_whole(target, b"new" * 1000)
    if isinstance(failure, OSError):
        assert isinstance(caught.value, codecframe.CodecframeError)
        assert str(target) in str(caught.value) and "No space left" in str(caught.value)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_device_stays_a_device() -> None:
    write_whole("/dev/null", b"away")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("target", ["/dev/full", "/dev/full/x", "/dev/null/x", "."])
def test_what_cannot_be_written_is_said(target: str) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_whole(target, b"data")


def test_the_environment_names_the_data_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CODECFRAME_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("CODECFRAME_DATA")
    assert data_root() is None
