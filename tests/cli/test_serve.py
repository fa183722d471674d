"""`codecframe serve` as users start it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import serving
from toys import picture

import codecframe

Run = Callable[..., Any]


def test_prints_its_address_and_serves(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.url.startswith("http://127.0.0.1:")
        codec = codecframe.get_codec("jpeg")
        posted = server.post(codec.encode(picture(0), codec.settings_type()))
        assert posted.json()["top"][0]["label"]
        assert " info serving url=http" in server.log
        assert server.end() == 0
        assert server.log.splitlines()[-1].endswith(" info ended")


def test_a_token_file_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    with serving(tmp_path, "--token-file", "token", token="not this") as server:
        assert server.post(b"").status_code == 401
        server.token = "from a file"
        assert server.post(b"").status_code == 400


def test_others_are_let_in_by_token_only(run: Run, head_module: str) -> None:
    done = run("serve", "--head", head_module, "--host", "0.0.0.0")
    assert done.code == 2
    assert "--token-file" in done.err and "--no-token" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--no-token", "--token-file", "x"], 2, "opposite"),
        (["--tls-key", "x"], 2, "--tls-cert"),
        (["--token-file", "absent"], 1, "absent"),
        (["--tls-cert", "absent"], 1, "absent"),
        (["--codec", "jpag"], 1, "'jpeg'"),
        (["--host", "203.0.113.7", "--no-token"], 1, "203.0.113.7"),
        (["--port", "99999"], 2, "65535"),
    ],
)
def test_what_cannot_be_served_is_refused(
    run: Run, head_module: str, arguments: list[str], code: int, said: str
) -> None:
    done = run("serve", "--head", head_module, "--port", "0", *arguments)
    assert done.code == code, done.err
    assert said in done.err
    assert done.out == ""


def test_a_port_in_use_and_a_broken_head_are_told_before_serving(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def head(images):\n    return 'nothing'\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = run("serve", "--head", "broken:head", "--port", taken.getsockname()[1])
    assert used.code == 1 and "in use" in used.err
    broken = run("serve", "--head", "broken:head", "--port", "0")
    assert broken.code == 1 and "broken:head" in broken.err
    assert broken.out == ""


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "prometheus_client", "websockets"])
def test_what_is_not_installed_is_named(
    run: Run, head_module: str, tmp_path: Path, package: str
) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(name={package!r})")
    done = run("serve", "--head", head_module)
    assert done.code == 1
    assert "pip install 'codecframe[serve]'" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--grace", "nan"], 2, "finite"),
        (["--grace", "inf"], 2, "finite"),
        (["--delay", "nan"], 2, "finite"),
        (["--max-fps", "nan"], 2, "finite"),
        (["--idle", "nan"], 2, "finite"),
        (["--port", "99999"], 2, "65535"),
        (["--token-file", "not-text"], 1, "is not a token"),
        (["--token-file", "two-lines"], 1, "is not a token"),
        (["--token-file", "blank"], 1, "is empty"),
        (["--token-file", "long"], 1, "longer"),
        (["--token-file", "/dev/zero"], 1, "longer"),
        (["--tls-cert", "/dev/zero"], 1, "regular file"),
        (["--tls-cert", "long"], 1, "not a PEM file"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    run: Any, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    if "/dev/zero" in arguments and not Path("/dev/zero").exists():
        pytest.skip("no such device")
    (tmp_path / "shade.py").write_text("def head(images):\n    return [[1.0]] * len(images)\n")
    (tmp_path / "not-text").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "two-lines").write_bytes(b"one\ntwo\n")
    (tmp_path / "blank").write_bytes(b" \n")
    with open(tmp_path / "long", "wb") as file:
        file.truncate(3 << 30)  # takes no space
    done = run("serve", "--head", "shade:head", "--codec", "png", "--port", "0", *arguments)
    assert done.code == code, done.err
    assert said in done.err
    assert "Traceback" not in done.err
